// SPDX-License-Identifier: Apache-2.0
// Sums, products and reductions of normal forms.
#include "algebra/algebra.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace tessera::algebra {
namespace {

constexpr size_t most_terms = 4000;

bool contains(const std::vector<std::string>& all, const std::string& v) {
  return std::find(all.begin(), all.end(), v) != all.end();
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

namespace {

// The two values between which a maximum chooses.
bool is_choice_of_two(const Atom& a) {
  return a.head == "max" && a.entries.size() == 2 &&
         std::all_of(a.entries.begin(), a.entries.end(),
                     [](const Entry& e) { return e.bound.empty() && e.guards.empty(); });
}

}  // namespace

bool Algebra::has_square(const Factor& f) const {
  if (f.atom->head == "sqrt") return f.power >= 2 || f.power <= -2;
  if (f.atom->head.starts_with("abs:i")) return f.power >= 2;
  return domain_ == Domain::reals && f.power >= 2 && is_choice_of_two(*f.atom);
}

// √v · √v = v, |x| · |x| = x · x, and m · m = (u + v) · m − u · v where m is u or v.
Sum Algebra::squared(const Factor& f) {
  const Atom& a = *f.atom;
  const Sum& inside = a.entries[0].body;
  const int half = f.power / 2, left = f.power - 2 * half;
  const Sum rest = left == 0 ? constant(1) : of_atom(a, left);
  if (a.head == "sqrt")
    return multiply(half > 0 ? power(inside, half) : inverse(power(inside, -half), Facts()), rest);
  if (a.head != "max") return multiply(power(multiply(inside, inside), half), rest);
  const Sum& other = a.entries[1].body;
  const Sum square =
      add(multiply(add(inside, other), of_atom(a)), scale(multiply(inside, other), -1));
  return multiply(square, f.power > 2 ? of_atom(a, f.power - 2) : constant(1));
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
      const auto again = std::find_if(t.factors.begin(), t.factors.end(),
                                      [&](const Factor& f) { return has_square(f); });
      if (again == t.factors.end()) {
        s.terms.push_back(std::move(t));
        continue;
      }
      const Factor f = *again;
      t.factors.erase(again);
      squares = add(squares, multiply({{t}}, squared(f)));
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

namespace {

// A boolean factor of a term outside of its sums.
std::shared_ptr<const Atom> outer_condition(const Sum& s) {
  for (const Term& t : s.terms)
    for (const Factor& f : t.factors) {
      const bool outer = std::none_of(t.bound.begin(), t.bound.end(), [&](const std::string& v) {
        return f.atom->free.contains(v);
      });
      if (f.atom->boolean && outer) return f.atom;
    }
  return nullptr;
}

// The sum where a boolean factor is 1 (or 0).
Sum given(const Sum& s, const Atom& condition, bool holds) {
  Sum result;
  for (Term t : s.terms) {
    const size_t factors = t.factors.size();
    std::erase_if(t.factors, [&](const Factor& f) { return f.atom->key == condition.key; });
    if (holds || t.factors.size() == factors) result.terms.push_back(std::move(t));
  }
  return result;
}

}  // namespace

// f(b · x + …) = b · f(x + …) + (1 − b) · f(…) of a boolean b.
Sum Algebra::by_truth(const std::string& head, std::span<const Sum> args,
                      const std::shared_ptr<const Atom>& condition, const Facts& facts) {
  const Sum b{{{1, {}, {}, {{condition, 1}}}}};
  Sum total;
  for (const bool holds : {true, false}) {
    std::vector<Sum> reduced;
    for (const Sum& a : args) reduced.push_back(merged(given(a, *condition, holds)));
    const Sum weight = holds ? b : add(constant(1), scale(b, -1));
    total = add(total, multiply(weight, function(head, reduced, facts)));
  }
  return total;
}

Sum Algebra::function(const std::string& head, std::span<const Sum> args, const Facts& facts) {
  const Guard* split = nullptr;
  for (const Sum& a : args)
    if (!split) split = outer_guard(a, {});
  if (!split && domain_ != Domain::bits && !head.starts_with("cast:"))
    for (const Sum& a : args)
      if (const auto condition = outer_condition(a)) return by_truth(head, args, condition, facts);
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

bool mentions_any(const Index& e, const std::vector<std::string>& bound) {
  for (const std::string& v : variables_of(e))
    if (contains(bound, v)) return true;
  return false;
}

Sum Algebra::maximum(const Sum& a, const Sum& b, const Facts& facts) {
  return function("max", std::array{a, b}, facts);
}

}  // namespace tessera::algebra
