// SPDX-License-Identifier: Apache-2.0
// Bounds of polynomials: an index variable is replaced by the bound that makes the expression
// smallest, innermost first; what is left is a polynomial in sizes, and n = 1 + n' shows its sign
// where all coefficients agree.
#include "algebra/facts.h"

#include <algorithm>

namespace tessera::algebra {
namespace {

constexpr int search_depth = 10, search_budget = 100;

Index atom_value(const sym::Atom& atom) {
  switch (atom.kind) {
    case sym::AtomKind::symbol: return Index::symbol(atom.name);
    case sym::AtomKind::floor_div: return sym::floor_div(atom.args[0], atom.args[1]);
    case sym::AtomKind::modulo: return sym::modulo(atom.args[0], atom.args[1]);
    case sym::AtomKind::minimum: return sym::min(atom.args[0], atom.args[1]);
    case sym::AtomKind::maximum: return sym::max(atom.args[0], atom.args[1]);
  }
  return 0;
}

// Calls `visit` with the names of symbols, inside of operations too, until it returns true.
template <class Visit>
bool any_symbol(const Index& e, const Visit& visit) {
  for (const sym::Term& t : e.terms())
    for (const sym::Atom& f : t.factors) {
      if (f.kind == sym::AtomKind::symbol && visit(f.name)) return true;
      for (const Index& a : f.args)
        if (any_symbol(a, visit)) return true;
    }
  return false;
}

int number_of(const std::string& variable) { return std::atoi(variable.c_str() + 1); }

// The variable made last: bounds of inner variables may mention outer ones, never the reverse.
std::string innermost(const Index& e) {
  std::string found;
  for (const sym::Term& t : e.terms())
    for (const sym::Atom& f : t.factors)
      if (f.kind == sym::AtomKind::symbol && is_variable(f.name) &&
          (found.empty() || number_of(f.name) > number_of(found)))
        found = f.name;
  return found;
}

bool has_operation(const Index& e) {
  for (const sym::Term& t : e.terms())
    for (const sym::Atom& f : t.factors)
      if (f.kind != sym::AtomKind::symbol) return true;
  return false;
}

}  // namespace

// All coefficients are nonnegative after n = 1 + n' for every size.
bool is_never_negative(const Index& e) {
  if (has_operation(e) || any_symbol(e, is_variable)) return false;
  int64_t at_ones = e.constant_part();
  bool all_positive = true;
  for (const sym::Term& t : e.terms()) {
    if (__builtin_add_overflow(at_ones, t.coefficient, &at_ones)) return false;
    all_positive &= t.coefficient >= 0;
  }
  if (at_ones < 0 || all_positive) return at_ones >= 0;
  std::map<std::string, Index> shifted;
  any_symbol(e, [&](const std::string& name) {
    if (!shifted.contains(name)) shifted.emplace(name, Index::symbol(name) + Index(1));
    return false;
  });
  const Index moved = e.substitute(shifted);
  return moved.constant_part() >= 0 &&
         std::all_of(moved.terms().begin(), moved.terms().end(),
                     [](const sym::Term& t) { return t.coefficient >= 0; });
}

Index term_value(const sym::Term& term) {
  Index product(term.coefficient);
  for (const sym::Atom& f : term.factors) product = product * atom_value(f);
  return product;
}

std::set<std::string> variables_of(const Index& e) {
  std::set<std::string> found;
  any_symbol(e, [&](const std::string& name) {
    if (is_variable(name)) found.insert(name);
    return false;
  });
  return found;
}

bool mentions(const Index& e, const std::string& variable) {
  return any_symbol(e, [&](const std::string& name) { return name == variable; });
}

bool split_linear(const Index& e, const std::string& variable, Index& coefficient, Index& rest) {
  coefficient = Index(0);
  rest = Index(e.constant_part());
  for (const sym::Term& t : e.terms()) {
    int uses = 0;
    Index others(t.coefficient);
    for (const sym::Atom& f : t.factors) {
      if (f.kind == sym::AtomKind::symbol && f.name == variable) {
        ++uses;
        continue;
      }
      for (const Index& a : f.args)
        if (mentions(a, variable)) return false;
      others = others * atom_value(f);
    }
    if (uses > 1) return false;
    if (uses == 1) coefficient = coefficient + others;
    else rest = rest + others;
  }
  return true;
}

void Facts::assume(Guard guard) {
  if (std::find(guards_.begin(), guards_.end(), guard) == guards_.end())
    guards_.push_back(std::move(guard));
}

namespace {

bool is_plain(const sym::Term& t) {
  return std::all_of(t.factors.begin(), t.factors.end(), [](const sym::Atom& f) {
    return f.kind == sym::AtomKind::symbol && !is_variable(f.name);
  });
}

// Whether variables and operations vanish from a − sign · b: told without computing it.
bool differs_in_sizes(const Index& a, const Index& b, int64_t sign) {
  size_t shared = 0, in_b = 0;
  for (const sym::Term& t : b.terms()) in_b += !is_plain(t);
  for (const sym::Term& t : a.terms()) {
    if (is_plain(t)) continue;
    const bool found = std::any_of(b.terms().begin(), b.terms().end(), [&](const sym::Term& u) {
      return t.coefficient == sign * u.coefficient && t.factors == u.factors;
    });
    if (!found) return false;
    ++shared;
  }
  return shared == in_b;
}

}  // namespace

bool Facts::nonnegative(const Index& e) const {
  if (const auto c = e.constant()) return *c >= 0;
  for (const Guard& g : guards_) {  // a fact that says as much
    if (differs_in_sizes(e, g.value, 1) && is_never_negative(e - g.value)) return true;
    if (g.equal && differs_in_sizes(e, g.value, -1) && is_never_negative(e + g.value)) return true;
  }
  int budget = search_budget;
  return search(e, search_depth, budget);
}

bool Facts::implies(const Guard& g) const {
  if (!g.equal) return nonnegative(g.value);
  return nonnegative(g.value) && nonnegative(-g.value);
}

bool Facts::refutes(const Guard& g) const {
  if (nonnegative(-g.value - Index(1))) return true;
  return g.equal && nonnegative(g.value - Index(1));
}

bool Facts::search(const Index& e, int depth, int& budget) const {
  if (const auto c = e.constant()) return *c >= 0;
  if (depth == 0 || budget-- <= 0) return false;
  if (has_operation(e) && by_division(e, depth, budget)) return true;
  const std::string v = innermost(e);
  if (v.empty()) return by_sizes(e, 2);
  Index a, b;
  if (!split_linear(e, v, a, b)) return false;
  const bool rising = search(a, depth - 1, budget);
  if (!rising && !search(-a, depth - 1, budget)) return false;
  for (const Guard& g : guards_) {
    Index c, rest;
    if (!mentions(g.value, v) || !split_linear(g.value, v, c, rest)) continue;
    const auto unit = c.constant();
    if (!unit) continue;
    // c·v + rest >= 0 bounds v from below where c > 0; scaling by |c| keeps integers.
    const bool bounds_below = *unit > 0;
    if (!g.equal && bounds_below != rising) continue;
    const int64_t scale = *unit < 0 ? -*unit : *unit;
    const Index bound = *unit > 0 ? -rest : rest;  // scale · v >= / <= bound
    if (search(a * bound + Index(scale) * b, depth - 1, budget)) return true;
  }
  return false;
}

// q = ⌊p / d⌋ lies between (p − d + 1) / d and p / d.
bool Facts::by_division(const Index& e, int depth, int& budget) const {
  for (const sym::Term& t : e.terms())
    for (const sym::Atom& f : t.factors) {
      if (f.kind != sym::AtomKind::floor_div) continue;
      const Index &p = f.args[0], &d = f.args[1];
      if (!search(d - Index(1), depth - 1, budget)) return false;
      Index a(0), b(e.constant_part());
      for (const sym::Term& u : e.terms()) {
        const auto at = std::find(u.factors.begin(), u.factors.end(), f);
        if (at == u.factors.end()) {
          b = b + term_value(u);
          continue;
        }
        sym::Term rest = u;
        rest.factors.erase(rest.factors.begin() + (at - u.factors.begin()));
        if (std::find(rest.factors.begin(), rest.factors.end(), f) != rest.factors.end())
          return false;
        a = a + term_value(rest);
      }
      if (search(a, depth - 1, budget)) {
        if (search(p, depth - 1, budget) && search(b, depth - 1, budget)) return true;
        return search(a * (p - d + Index(1)) + d * b + d - Index(1), depth - 1, budget);
      }
      if (!search(-a, depth - 1, budget)) return false;
      return search(a * p + d * b + d - Index(1), depth - 1, budget);
    }
  return false;
}

bool Facts::by_sizes(const Index& e, int depth) const {
  if (is_never_negative(e)) return true;
  if (depth == 0) return false;
  for (const Guard& g : guards_) {
    if (any_symbol(g.value, is_variable)) continue;
    // A fact that shares no size cannot help.
    if (!any_symbol(g.value, [&](const std::string& name) { return mentions(e, name); })) continue;
    if (by_sizes(e - g.value, depth - 1)) return true;
    if (g.equal && by_sizes(e + g.value, depth - 1)) return true;
  }
  return false;
}

Index Facts::divided(const Index& a, const Index& b, int depth) const {
  const Index plain = sym::floor_div(a, b);
  if (depth == 0 || !has_operation(plain)) return plain;
  // ⌊(b·q + r) / b⌋: what sym splits off stays; the rest may be known to lie in [0, b).
  Index quotient(plain.constant_part()), rest(0);
  for (const sym::Term& t : plain.terms()) {
    const bool division = t.coefficient == 1 && t.factors.size() == 1 &&
                          t.factors[0].kind == sym::AtomKind::floor_div &&
                          t.factors[0].args[1] == b;
    if (division) rest = t.factors[0].args[0];
    else quotient = quotient + term_value(t);
  }
  if (rest == Index(0)) return plain;
  if (nonnegative(rest) && nonnegative(b - Index(1) - rest)) return quotient;
  if (nonnegative(rest + b) && nonnegative(-rest - Index(1))) return quotient - Index(1);
  // ⌊⌊x / y⌋ / b⌋ = ⌊x / (y·b)⌋
  if (rest.terms().size() == 1 && rest.constant_part() == 0) {
    const sym::Term& t = rest.terms()[0];
    if (t.coefficient == 1 && t.factors.size() == 1 &&
        t.factors[0].kind == sym::AtomKind::floor_div)
      return quotient + divided(t.factors[0].args[0], t.factors[0].args[1] * b, depth - 1);
  }
  // ⌊(k·x + r) / (k·y)⌋ = ⌊x / y⌋ for 0 <= r < k, k a size among the factors of b.
  if (b.constant_part() == 0 && b.terms().size() == 1)
    for (const sym::Atom& f : b.terms()[0].factors) {
      const Index k = atom_value(f);
      const Index y = sym::floor_div(b, k);
      if (!(y * k == b) || y == Index(1)) continue;
      const Index x = divided(rest, k, depth - 1);
      if (!has_operation(x)) return quotient + divided(x, y, depth - 1);
    }
  return plain;
}

Index Facts::simplified(const Index& e) const { return simplified(e, 4); }

Index Facts::simplified(const Index& e, int depth) const {
  if (!has_operation(e) || depth == 0) return e;
  Index result(e.constant_part());
  for (const sym::Term& t : e.terms()) {
    Index product(t.coefficient);
    for (const sym::Atom& f : t.factors) {
      if (f.args.empty()) {
        product = product * atom_value(f);
        continue;
      }
      const Index a = simplified(f.args[0], depth - 1), b = simplified(f.args[1], depth - 1);
      Index value;
      switch (f.kind) {
        case sym::AtomKind::floor_div: value = divided(a, b, depth); break;
        case sym::AtomKind::modulo: value = a - b * divided(a, b, depth); break;
        case sym::AtomKind::minimum:
          value = nonnegative(b - a) ? a : nonnegative(a - b) ? b : sym::min(a, b);
          break;
        default: value = nonnegative(a - b) ? a : nonnegative(b - a) ? b : sym::max(a, b); break;
      }
      product = product * value;
    }
    result = result + product;
  }
  return result;
}

namespace {

constexpr int most_tries = 60;

// Bounds that guards state for a variable, then small numbers.
std::vector<Index> candidates(const std::string& v, const std::vector<Guard>& guards) {
  std::vector<Index> all;
  const auto add = [&](const Index& e) {
    if (std::find(all.begin(), all.end(), e) == all.end()) all.push_back(e);
  };
  for (const Guard& g : guards) {
    Index c, rest;
    if (!mentions(g.value, v) || !split_linear(g.value, v, c, rest)) continue;
    if (c == Index(1)) add(-rest);
    if (c == Index(-1)) add(rest);
  }
  for (const int small : {0, 1, 2}) add(Index(small));
  return all;
}

bool find_values(std::vector<std::string> variables, const std::vector<Guard>& guards,
                 const Facts& facts, int& tries) {
  for (const Guard& g : guards) {
    const bool open = std::any_of(variables.begin(), variables.end(),
                                  [&](const std::string& v) { return mentions(g.value, v); });
    if (!open && !facts.implies(g)) return false;
  }
  if (variables.empty()) return true;
  const std::string v = variables.back();
  variables.pop_back();
  for (const Index& value : candidates(v, guards)) {
    if (tries-- <= 0) return false;
    std::vector<Guard> left;
    for (const Guard& g : guards) left.push_back({g.value.substitute({{v, value}}), g.equal});
    if (find_values(variables, left, facts, tries)) return true;
  }
  return false;
}

}  // namespace

bool has_witness(const std::vector<std::string>& variables, const std::vector<Guard>& guards,
                 const Facts& facts) {
  int tries = most_tries;
  return find_values(variables, guards, facts, tries);
}

}  // namespace tessera::algebra
