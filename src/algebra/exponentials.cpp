// SPDX-License-Identifier: Apache-2.0
// Exponentials, logarithms and powers over the reals, and where functions are defined at all.
//
// A function that is not defined everywhere demands something of its arguments. What the left side
// demands may be assumed, what the right side demands must be demanded on the left, or hold anyway.
#include <array>
#include <cmath>

#include "algebra/algebra.h"
#include "base/check.h"

namespace tessera::algebra {
namespace {

std::optional<double> positive_constant(const Sum& s) {
  const bool plain = s.terms.size() == 1 && s.terms[0].factors.empty() &&
                     s.terms[0].bound.empty() && s.terms[0].guards.empty();
  return plain && s.terms[0].coefficient > 0 ? std::optional(s.terms[0].coefficient) : std::nullopt;
}

Sum of_factor(const Factor& f) { return {{{1, {}, {}, {f}}}}; }

// c · log(u) with a whole c.
const Atom* as_logarithm(const Term& t) {
  const bool one = t.factors.size() == 1 && t.factors[0].power == 1 && t.bound.empty() &&
                   t.guards.empty() && t.factors[0].atom->head == "log";
  const bool whole = t.coefficient == std::round(t.coefficient) && std::abs(t.coefficient) <= 16;
  return one && whole ? t.factors[0].atom.get() : nullptr;
}

}  // namespace

// e^(Σ tᵢ) = Π e^tᵢ, with whole multiples as powers, and e^log(u) = u where log(u) is defined.
Sum Algebra::exponential(const Sum& a, const Facts& facts) {
  Term product;
  Sum others = constant(1);
  for (const Term& t : a.terms) {
    Term bare = t;
    const double c = t.coefficient, whole = std::round(c);
    const bool multiple = whole == c && std::abs(c) <= 64;
    if (t.factors.empty() && t.bound.empty() && t.guards.empty()) {
      product.coefficient *= std::exp(c);
      continue;
    }
    if (const Atom* log = as_logarithm(t)) {
      const Sum base = power(log->entries[0].body, static_cast<int>(std::abs(c)));
      others = multiply(others, c > 0 ? base : inverse(base, facts));
      continue;
    }
    bare.coefficient = multiple ? 1 : std::abs(c);
    Atom e;
    e.head = "exp";
    e.entries.push_back({{}, {}, {{bare}}});
    const int sign = c < 0 ? -1 : 1;
    product.factors.push_back({make_atom(std::move(e)), multiple ? static_cast<int>(whole) : sign});
  }
  return multiply(merged({{product}}), others);
}

// log(c · Π fᵢ · rest) = log c + Σ log fᵢ + log rest where the factors are positive; of a root that
// is a factor too, since it is never negative and the logarithm is defined.
Sum Algebra::logarithm(const Sum& a) {
  if (const auto c = positive_constant(a)) return constant(std::log(*c));
  if (a.is_zero()) return opaque("log", {a});
  double coefficient = 1;
  std::vector<Factor> common;
  Sum rest = content(a, coefficient, common);
  Sum total;
  Term kept;
  if (coefficient > 0) total = constant(std::log(coefficient));
  else kept.coefficient = coefficient;
  for (const Factor& f : common) {
    if (f.atom->head == "exp") {
      total = add(total, scale(f.atom->entries[0].body, f.power));
    } else if (f.atom->head == "sqrt") {
      total = add(total, scale(logarithm(f.atom->entries[0].body), 0.5 * f.power));
    } else if (is_positive(*f.atom)) {
      const Sum inside = f.atom->head == "paren" ? f.atom->entries[0].body : of_factor({f.atom, 1});
      total = add(total, scale(opaque("log", {inside}), f.power));
    } else {
      kept.factors.push_back(f);
    }
  }
  rest = multiply(rest, {{kept}});
  if (const auto c = positive_constant(rest); c && *c == 1) return total;
  return add(total, opaque("log", {rest}));
}

// x^y: of a positive x e^(y · log x); x^−y is the inverse of x^y.
Sum Algebra::raised(const Sum& base, const Sum& exponent, const Facts& facts) {
  if (is_positive(base)) return exponential(multiply(exponent, logarithm(base)), facts);
  if (exponent.is_zero() || leading(exponent).coefficient > 0)
    return opaque("pow", {base, exponent});
  const Sum positive = opaque("pow", {base, scale(exponent, -1)});
  const Factor& f = positive.terms[0].factors[0];
  if (!assumes_) divide_by(f.atom);  // of the left side this says too much: x may be 0
  return of_factor({f.atom, -1});
}

// tanh u = 1 − 2 / (e^2u + 1) in every term.
Sum Algebra::without_tanh(const Sum& s, const Facts& facts) {
  Sum total;
  for (const Term& t : s.terms) {
    Term rest = t;
    std::erase_if(rest.factors, [](const Factor& f) { return f.atom->head == "tanh"; });
    Sum product{{rest}};
    for (const Factor& f : t.factors) {
      if (f.atom->head != "tanh") continue;
      const Sum e = exponential(scale(f.atom->entries[0].body, 2), facts);
      const Sum fraction = inverse(add(e, constant(1)), facts);
      const Sum value = add(constant(1), scale(fraction, -2));
      product = multiply(
          product, f.power > 0 ? power(value, f.power) : power(inverse(value, facts), -f.power));
    }
    total = add(total, product);
  }
  return total;
}

// The argument without what is positive anyway; odd powers count once, roots as what is under them.
Sum Algebra::sign_bearer(const Sum& a) {
  if (a.is_zero()) return a;
  double coefficient = 1;
  std::vector<Factor> common;
  Sum rest = content(a, coefficient, common);
  rest = scale(rest, coefficient < 0 ? -1 : 1);
  for (const Factor& f : common) {
    if (is_positive(*f.atom)) continue;
    const bool root = f.atom->head == "sqrt" && common.size() == 1 && rest.terms.size() == 1;
    const Sum part =
        root ? sign_bearer(f.atom->entries[0].body) : of_factor({f.atom, f.power % 2 == 0 ? 2 : 1});
    rest = multiply(rest, part);
  }
  return rest;
}

void Algebra::demand(const std::string& head, const std::vector<Sum>& args, const Facts& facts) {
  const bool partial =
      head == "log" || head == "sqrt" || head == "pow" || head == "asin" || head == "acos";
  if (!partial || !demanding_) return;
  std::string asked = head;
  for (const Sum& a : args) asked += "|" + print(a);
  if (!asked_.insert(asked).second || (head == "pow" && is_positive(args[0]))) return;
  Demand d{head, args};
  if (head == "log" || head == "sqrt") {
    d.args = {sign_bearer(args[0])};
    const Sum& a = d.args[0];
    if (head == "log" ? is_positive(a) || positive_constant(a) : is_nonnegative(a, facts)) return;
  }
  if (head == "pow" && !args[1].is_zero() && leading(args[1]).coefficient < 0)
    d.args[1] = scale(args[1], -1);
  Atom atom;
  atom.head = head;
  for (const Sum& a : d.args) atom.entries.push_back({{}, {}, a});
  demands_.emplace(print(*make_atom(std::move(atom)), true).text, std::move(d));
}

std::set<std::string> Algebra::take_demands(const Facts& facts) {
  const auto met = demands_;
  asked_.clear();
  for (const auto& [text, d] : met) {
    std::vector<Sum> args;
    for (const Sum& a : d.args) args.push_back(simplified(a, facts));
    demand(d.head, args, facts);
  }
  std::set<std::string> all;
  for (const auto& [text, d] : demands_) {
    all.insert(text);
    if (d.head == "log") all.insert("sqrt" + text.substr(3));  // what is positive has a root
  }
  demands_.clear();
  asked_.clear();
  return all;
}

std::string Algebra::new_demand(const std::set<std::string>& left, const Facts& facts) {
  const auto met = std::move(demands_);
  for (const auto& [text, d] : met) {
    if (left.contains(text)) continue;
    demands_.clear();
    asked_.clear();
    std::vector<Sum> args;
    for (const Sum& a : d.args) args.push_back(simplified(a, facts));
    demand(d.head, args, facts);
    for (const auto& [simple, part] : demands_)
      if (!left.contains(simple)) return simple;
  }
  demanding_ = false;
  return {};
}

}  // namespace tessera::algebra
