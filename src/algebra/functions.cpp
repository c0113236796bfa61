// SPDX-License-Identifier: Apache-2.0
// What is known of each scalar function, domain by domain.
#include <algorithm>
#include <cmath>
#include <optional>

#include "algebra/algebra.h"
#include "base/check.h"
#include "ir/scalar_eval.h"

namespace tessera::algebra {
namespace {

bool is_odd(const std::string& head) {
  return head == "tanh" || head == "erf" || head == "sin" || head == "atan" || head == "asin" ||
         head == "sign";
}
bool is_even(const std::string& head) { return head == "cos"; }

std::optional<double> constant_of(const Sum& s) {
  if (s.is_zero()) return 0.0;
  const bool plain = s.terms.size() == 1 && s.terms[0].factors.empty() &&
                     s.terms[0].bound.empty() && s.terms[0].guards.empty();
  return plain ? std::optional(s.terms[0].coefficient) : std::nullopt;
}

bool is_plain(const Term& t) { return t.bound.empty() && t.guards.empty(); }

Term one() { return {}; }

// Every bound variable may be 0, whatever the sizes are.
bool has_full_ranges(const Term& t) {
  Substitution zeros;
  for (const std::string& v : t.bound) zeros.emplace(v, Index(0));
  return std::all_of(t.guards.begin(), t.guards.end(), [&](const Guard& g) {
    return !g.equal && is_never_negative(g.value.substitute(zeros));
  });
}

}  // namespace

const Term& leading(const Sum& s) {
  const Term* best = nullptr;
  std::string text;
  for (const Term& t : s.terms) {
    Term bare = t;
    bare.coefficient = 1;
    std::string own = print(bare);
    if (!best || own < text) {
      best = &t;
      text = std::move(own);
    }
  }
  return *best;
}

bool is_positive(const Atom& a) {
  if (a.head == "exp") return true;
  if (a.head == "int") return variables_of(a.indices[0]).empty() && a.indices[0].as_symbol();
  if (a.head == "paren") return is_positive(a.entries[0].body);
  return false;
}

bool is_positive(const Sum& s) {
  return !s.is_zero() && std::all_of(s.terms.begin(), s.terms.end(), [](const Term& t) {
    // A sum over ranges that are never empty, without guards of its own.
    return t.coefficient > 0 && t.guards.size() == 2 * t.bound.size() && has_full_ranges(t) &&
           std::all_of(t.factors.begin(), t.factors.end(), [](auto& f) {
             return is_positive(*f.atom) || (f.power % 2 == 0 && f.power < 0);
           });
  });
}

Sum Algebra::content(const Sum& a, double& coefficient, std::vector<Factor>& common) const {
  coefficient = leading(a).coefficient;
  common.clear();
  std::map<std::string, Factor> candidates;
  for (const Term& t : a.terms)
    for (const Factor& f : t.factors) candidates.emplace(f.atom->key, f);
  for (auto& [key, f] : candidates) {
    if (f.atom->boolean) continue;
    bool usable = true, first = true;
    int least = 0;
    for (const Term& t : a.terms) {
      for (const std::string& v : t.bound) usable &= !f.atom->free.contains(v);
      const auto at = std::find_if(t.factors.begin(), t.factors.end(),
                                   [&](const Factor& g) { return g.atom->key == key; });
      const int power = at == t.factors.end() ? 0 : at->power;
      least = first ? power : std::min(least, power);
      first = false;
    }
    // A negative power is a divisor already, or the atom is positive.
    if (usable && least != 0) common.push_back({f.atom, least});
  }
  Sum rest = a;
  for (Term& t : rest.terms) {
    t.coefficient /= coefficient;
    for (const Factor& c : common) {
      const auto at = std::find_if(t.factors.begin(), t.factors.end(),
                                   [&](const Factor& g) { return g.atom->key == c.atom->key; });
      if (at == t.factors.end()) {
        t.factors.push_back({c.atom, -c.power});
      } else if ((at->power -= c.power) == 0) {
        t.factors.erase(at);
      }
    }
  }
  return rest;
}

std::string Algebra::sign_text(const Sum& s) {
  if (s.is_zero()) return "0";
  Sum unit = s;
  const double lead = std::abs(leading(s).coefficient);
  for (Term& t : unit.terms) t.coefficient /= lead;
  return print(unit);
}

Sum Algebra::inverse(const Sum& a, const Facts& facts) {
  const Guard* split = outer_guard(a, {});
  if (!split) return invert_simple(a);
  return by_cases(*split, facts,
                  [&](const Facts& inner) { return inverse(simplified(a, inner), inner); });
}

Sum Algebra::invert_simple(const Sum& a) {
  if (a.is_zero()) {
    Atom zero;
    zero.head = "paren";
    zero.entries.push_back({});
    divide_by(make_atom(zero));
    return of_atom(std::move(zero), -1);
  }
  double coefficient = 1;
  std::vector<Factor> common;
  const Sum rest = content(a, coefficient, common);
  Term t = one();
  t.coefficient = 1 / coefficient;
  for (const Factor& f : common) {
    divide_by(f.atom);
    t.factors.push_back({f.atom, -f.power});
  }
  if (const auto c = constant_of(rest); c && *c != 0) {
    t.coefficient /= *c;
    return {{t}};
  }
  Atom paren;
  paren.head = "paren";
  paren.entries.push_back({{}, {}, rest});
  auto atom = make_atom(std::move(paren));
  divide_by(atom);
  t.factors.push_back({std::move(atom), -1});
  return {{t}};
}

namespace {

// The choice that a normal form is, if it is nothing else.
const Atom* as_choice(const Sum& s) {
  if (s.terms.size() != 1 || s.terms[0].factors.size() != 1 || !is_plain(s.terms[0]))
    return nullptr;
  const Factor& f = s.terms[0].factors[0];
  return f.power == 1 && f.atom->head == "select" && s.terms[0].coefficient == 1 ? f.atom.get()
                                                                                 : nullptr;
}

}  // namespace

// A function of a choice is a choice of two values; a choice inside one by the same condition is
// made already.
Sum Algebra::leaf(const std::string& head, const std::vector<Sum>& args, const Facts& facts) {
  for (size_t k = 0; k < args.size(); ++k) {
    const Atom* choice = as_choice(args[k]);
    if (!choice || (head == "select" && k == 0)) continue;
    std::vector<Sum> changed = args;
    if (head == "select") {
      if (print(choice->entries[0].body) != print(args[0])) continue;
      changed[k] = choice->entries[k].body;
      return leaf(head, changed, facts);
    }
    std::vector<Sum> both{choice->entries[0].body, {}, {}};
    for (size_t way = 1; way <= 2; ++way) {
      changed[k] = choice->entries[way].body;
      both[way] = leaf(head, changed, facts);
    }
    return leaf("select", both, facts);
  }
  return plain_leaf(head, args, facts);
}

Sum Algebra::plain_leaf(const std::string& head, const std::vector<Sum>& args, const Facts& facts) {
  if (head == "max" || head == "min") {
    std::vector<Entry> entries;
    for (const Sum& a : args) entries.push_back({{}, {}, a});
    return rebuilt_set(head, std::move(entries), facts);
  }
  if (domain_ == Domain::reals) return leaf_reals(head, args, facts);
  if (domain_ == Domain::bits) return leaf_bits(head, args, facts);
  return leaf_integers(head, args);
}

Sum Algebra::leaf_reals(const std::string& head, const std::vector<Sum>& args, const Facts& facts) {
  const Sum& a = args[0];
  const auto c = constant_of(a);
  if (head == "exp") return exponential(a, facts);
  demand(head, args, facts);
  if (head == "log") return logarithm(a);
  if (head == "pow") return raised(a, args[1], facts);
  if (head == "is_nan") return {};
  if (head == "positive" || head == "zero") {  // [a > 0], [a = 0]
    if (c) return constant(head == "zero" ? *c == 0 : *c > 0);
    const double lead = leading(a).coefficient;
    return opaque(head, {scale(a, 1 / (head == "zero" ? lead : std::abs(lead)))}, true);
  }
  if (head == "select") {
    if (c) return *c != 0 ? args[1] : args[2];
    return add(multiply(a, args[1]), multiply(add(constant(1), scale(a, -1)), args[2]));
  }
  if (args.size() == 1 && c) {
    if (const auto prim = ir::prim_from_string(head))
      if (ir::arity(*prim) == 1 && !ir::gives_boolean(*prim))
        return constant(ir::apply(*prim, DType::f64, ir::Scalar::of(*c), {}).real);
  }
  if (is_odd(head) || is_even(head)) {
    if (leading(a).coefficient < 0) {
      const Sum mirrored = opaque(head, {scale(a, -1)});
      return is_odd(head) ? scale(mirrored, -1) : mirrored;
    }
  }
  if (head == "sqrt") {  // √(c·v) = √c · √v
    const double lead = leading(a).coefficient;
    if (lead > 0 && lead != 1) return scale(opaque(head, {scale(a, 1 / lead)}), std::sqrt(lead));
  }
  return opaque(head, args);
}

}  // namespace tessera::algebra
