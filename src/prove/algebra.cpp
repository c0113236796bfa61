// SPDX-License-Identifier: Apache-2.0
// Sums, products and reductions of normal forms.
#include "prove/algebra.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace tessera::prove {
namespace {

constexpr size_t most_terms = 4000;

bool contains(const std::vector<std::string>& all, const std::string& v) {
  return std::find(all.begin(), all.end(), v) != all.end();
}

bool mentions_any(const Index& e, const std::vector<std::string>& bound) {
  for (const std::string& v : variables_of(e))
    if (contains(bound, v)) return true;
  return false;
}

// Constants that rounding alone keeps from cancelling are equal: literals have nine digits.
bool vanishes(double sum, double scale) { return std::abs(sum) <= 1e-9 * scale; }

void multiply_factor(std::vector<Factor>& into, const Factor& f) {
  for (auto it = into.begin(); it != into.end(); ++it) {
    if (it->atom->key != f.atom->key) continue;
    it->power = f.atom->boolean ? 1 : it->power + f.power;
    if (it->power == 0) into.erase(it);
    return;
  }
  into.push_back(f);
}

}  // namespace

Sum Algebra::constant(double value) const {
  if (domain_ == Domain::bits) {
    // ±1 are signs; −0 and everything else is a value of its own.
    Atom a;
    a.head = fmt::format("#{:.17g}", std::abs(value));
    Sum s = of_atom(std::move(a));
    if (std::signbit(value)) s.terms[0].coefficient = -1;
    return s;
  }
  Sum s;
  if (value != 0)
    s.terms.push_back({.coefficient = value, .bound = {}, .guards = {}, .factors = {}});
  return s;
}

Sum Algebra::of_atom(Atom atom, int power) const {
  Sum s;
  Term t;
  t.factors.push_back({make_atom(std::move(atom)), power});
  s.terms.push_back(std::move(t));
  return s;
}

Sum Algebra::number(const Index& value) const {
  if (const auto c = value.constant()) return constant(static_cast<double>(*c));
  Atom whole;
  whole.head = "int";
  if (domain_ != Domain::reals) {
    whole.indices = {value};
    return of_atom(std::move(whole));
  }
  Sum s = constant(static_cast<double>(value.constant_part()));
  for (const sym::Term& t : value.terms()) {
    Term term;
    term.coefficient = static_cast<double>(t.coefficient);
    for (const sym::Atom& f : t.factors) {
      Atom a;
      a.head = "int";
      a.indices = {term_value({1, {f}})};
      multiply_factor(term.factors, {make_atom(std::move(a)), 1});
    }
    s.terms.push_back(std::move(term));
  }
  return s;
}

Sum Algebra::read(uint32_t input, std::vector<Index> indices, bool boolean) const {
  Atom a;
  a.head = fmt::format("x{}", input);
  a.indices = std::move(indices);
  a.boolean = boolean;
  return of_atom(std::move(a));
}

Sum Algebra::parameter(const std::string& name) const {
  Atom a;
  a.head = name;
  return of_atom(std::move(a));
}

Sum Algebra::merged(Sum s) {
  if (s.terms.size() < 2) return s;
  std::map<std::string, std::pair<size_t, double>> places;  // text → term, largest coefficient
  std::vector<Term> kept;
  for (Term& t : s.terms) {
    const double c = t.coefficient;
    t.coefficient = 1;
    const std::string text = print(t);
    const auto [it, added] = places.try_emplace(text, kept.size(), std::abs(c));
    if (added) {
      t.coefficient = c;
      kept.push_back(std::move(t));
      continue;
    }
    auto& [at, scale] = it->second;
    scale = std::max(scale, std::abs(c));
    kept[at].coefficient += c;
    if (vanishes(kept[at].coefficient, scale)) kept[at].coefficient = 0;
  }
  std::erase_if(kept, [](const Term& t) { return t.coefficient == 0; });
  if (kept.size() > most_terms)
    throw Undecided{fmt::format("a normal form of {} terms", kept.size())};
  return {std::move(kept)};
}

Sum Algebra::add(const Sum& a, const Sum& b) const {
  Sum s = a;
  s.terms.insert(s.terms.end(), b.terms.begin(), b.terms.end());
  return merged(std::move(s));
}

Sum Algebra::scale(const Sum& a, double factor) const {
  Sum s;
  if (factor == 0) return s;
  s = a;
  for (Term& t : s.terms) t.coefficient *= factor;
  return s;
}

void Algebra::rename_apart(Term& term, const Term& other) {
  Substitution by;
  for (std::string& v : term.bound) {
    if (!contains(other.bound, v)) continue;
    const std::string w = fresh_variable();
    by.emplace(v, Index::symbol(w));
    v = w;
  }
  if (!by.empty()) term = substitute(term, by);
}

Sum Algebra::multiply(const Sum& a, const Sum& b) {
  Sum s;
  if (a.terms.size() * b.terms.size() > most_terms)
    throw Undecided{fmt::format("a product of {} and {} terms", a.terms.size(), b.terms.size())};
  Sum squares;
  for (const Term& x : a.terms)
    for (const Term& y : b.terms) {
      Term t = x, u = y;
      rename_apart(u, t);
      t.coefficient *= u.coefficient;
      t.bound.insert(t.bound.end(), u.bound.begin(), u.bound.end());
      for (Guard& g : u.guards)
        if (std::find(t.guards.begin(), t.guards.end(), g) == t.guards.end())
          t.guards.push_back(std::move(g));
      for (const Factor& f : u.factors) multiply_factor(t.factors, f);
      // √v · √v = v
      const auto root = std::find_if(t.factors.begin(), t.factors.end(), [](const Factor& f) {
        if (f.atom->head.starts_with("abs:i")) return f.power >= 2;  // |x|·|x| = x·x
        return f.atom->head == "sqrt" && (f.power >= 2 || f.power <= -2);
      });
      if (root == t.factors.end()) {
        s.terms.push_back(std::move(t));
        continue;
      }
      Sum inside = root->atom->entries[0].body;
      if (root->atom->head != "sqrt") inside = multiply(inside, inside);
      const int half = root->power / 2;
      root->power -= 2 * half;
      if (root->power == 0) t.factors.erase(root);
      const Facts none;
      const Sum factor = half > 0 ? power(inside, half) : inverse(power(inside, -half), none);
      squares = add(squares, multiply({{t}}, factor));
    }
  return add(merged(std::move(s)), squares);
}

Sum Algebra::power(const Sum& a, int exponent) {
  Sum s = constant(1);
  for (int k = 0; k < exponent; ++k) s = multiply(s, a);
  return s;
}

Sum Algebra::guarded(const Sum& a, const std::vector<Guard>& guards) const {
  Sum s = a;
  for (Term& t : s.terms)
    for (const Guard& g : guards)
      if (std::find(t.guards.begin(), t.guards.end(), g) == t.guards.end()) t.guards.push_back(g);
  return s;
}

Sum Algebra::sum_over(const Sum& body, const std::string& variable, const Index& extent) const {
  Sum s = body;
  const Index v = Index::symbol(variable);
  for (Term& t : s.terms) {
    t.bound.insert(t.bound.begin(), variable);
    t.guards.push_back({v, false});
    t.guards.push_back({extent - Index(1) - v, false});
  }
  return s;
}

Sum Algebra::reduce_over(const std::string& head, const Sum& body, const std::string& variable,
                         const Index& extent, const Facts& facts) {
  const Index v = Index::symbol(variable);
  Entry e;
  e.bound = {variable};
  e.guards = {{v, false}, {extent - Index(1) - v, false}};
  e.body = body;
  if (head == "max" || head == "min") return rebuilt_set(head, {std::move(e)}, facts);
  Atom a;
  a.head = head;
  a.entries.push_back(std::move(e));
  return of_atom(std::move(a));
}

Sum Algebra::opaque(const std::string& head, const std::vector<Sum>& args, bool boolean) const {
  Atom a;
  a.head = head;
  a.boolean = boolean;
  for (const Sum& arg : args) a.entries.push_back({{}, {}, arg});
  return of_atom(std::move(a));
}

const Guard* outer_guard(const Sum& s, const std::vector<std::string>& bound) {
  for (const Term& t : s.terms)
    for (const Guard& g : t.guards)
      if (!mentions_any(g.value, t.bound) && !mentions_any(g.value, bound)) return &g;
  return nullptr;
}

std::vector<Guard> negated(const Guard& g) {
  if (!g.equal) return {{-g.value - Index(1), false}};
  return {{g.value - Index(1), false}, {-g.value - Index(1), false}};
}

Sum Algebra::function(const std::string& head, std::span<const Sum> args, const Facts& facts) {
  const Guard* split = nullptr;
  for (const Sum& a : args)
    if (!split) split = outer_guard(a, {});
  if (!split) return leaf(head, {args.begin(), args.end()}, facts);
  return by_cases(*split, facts, [&](const Facts& inner) {
    std::vector<Sum> reduced;
    for (const Sum& a : args) reduced.push_back(simplified(a, inner));
    return function(head, reduced, inner);
  });
}

Sum Algebra::by_cases(const Guard& split, const Facts& facts,
                      const std::function<Sum(const Facts&)>& part) {
  std::vector<Guard> cases = negated(split);
  cases.push_back(split);
  Sum total;
  for (const Guard& c : cases) {
    if (facts.refutes(c)) continue;
    Facts inner = facts;
    inner.assume(c);
    total = add(total, guarded(part(inner), {c}));
  }
  return total;
}

Sum Algebra::maximum(const Sum& a, const Sum& b, const Facts& facts) {
  return function("max", std::array{a, b}, facts);
}

// Entries that are known to be at most another one.
void Algebra::drop_smaller(std::map<std::string, Entry>& entries) const {
  for (auto a = entries.begin(); a != entries.end();) {
    bool smaller = false;
    for (const auto& [text, b] : entries) {
      if (text == a->first || !b.bound.empty() || !b.guards.empty() || !a->second.bound.empty())
        continue;
      const Sum d = add(b.body, scale(a->second.body, -1));
      smaller |= std::find(signs_.begin(), signs_.end(), sign_text(d)) != signs_.end();
    }
    a = smaller ? entries.erase(a) : std::next(a);
  }
}

// A maximum as a set: nested maxima are flattened, bodies split so that each entry has one case.
Sum Algebra::rebuilt_set(const std::string& head, std::vector<Entry> entries, const Facts& facts) {
  std::vector<Entry> done;
  while (!entries.empty()) {
    Entry e = std::move(entries.back());
    entries.pop_back();
    const bool possible = place(e.bound, e.guards, facts,
                                [&](const Substitution& by) { e.body = substitute(e.body, by); });
    if (!possible) continue;
    Facts inner = facts;
    for (const Guard& g : e.guards) inner.assume(g);
    e.body = simplified(e.body, inner);
    if (const Guard* g = outer_guard(e.body, {})) {
      const bool own = mentions_any(g->value, e.bound);
      std::vector<Guard> cases = negated(*g);
      cases.push_back(*g);
      if (!own) {  // the choice is made outside of the maximum
        Sum total;
        entries.insert(entries.end(), done.begin(), done.end());
        entries.push_back(e);
        for (const Guard& c : cases) {
          if (facts.refutes(c)) continue;
          Facts under = facts;
          under.assume(c);
          total = add(total, guarded(rebuilt_set(head, entries, under), {c}));
        }
        return total;
      }
      for (const Guard& c : cases) {
        Entry part = e;
        part.guards.push_back(c);
        entries.push_back(std::move(part));
      }
      continue;
    }
    const bool nested = e.body.terms.size() == 1 && e.body.terms[0].coefficient == 1 &&
                        e.body.terms[0].bound.empty() && e.body.terms[0].factors.size() == 1 &&
                        e.body.terms[0].factors[0].power == 1 &&
                        e.body.terms[0].factors[0].atom->head == head;
    if (!nested) {
      done.push_back(std::move(e));
      continue;
    }
    for (Entry part : e.body.terms[0].factors[0].atom->entries) {
      Substitution by;
      for (std::string& v : part.bound) {
        const std::string w = fresh_variable();
        by.emplace(v, Index::symbol(w));
        v = w;
      }
      part.guards = substitute(part.guards, by);
      part.body = substitute(part.body, by);
      part.bound.insert(part.bound.begin(), e.bound.begin(), e.bound.end());
      part.guards.insert(part.guards.end(), e.guards.begin(), e.guards.end());
      entries.push_back(std::move(part));
    }
  }
  std::map<std::string, Entry> unique;
  for (Entry& e : done) {
    Atom alone;
    alone.head = head;
    alone.entries = {e};
    unique.emplace(make_atom(std::move(alone))->key, std::move(e));
  }
  if (head == "max" && !signs_.empty()) drop_smaller(unique);
  if (unique.size() == 1 && unique.begin()->second.bound.empty() &&
      unique.begin()->second.guards.empty())
    return unique.begin()->second.body;
  Atom a;
  a.head = head;
  for (auto& [text, e] : unique) a.entries.push_back(std::move(e));
  return of_atom(std::move(a));
}

}  // namespace tessera::prove
