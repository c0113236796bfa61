// SPDX-License-Identifier: Apache-2.0
// Index expressions as linear forms of the loop variables.
#include "plan/linear.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "sym/expr.h"

namespace tessera::plan {
namespace {

using ir::ExprKind;
using ir::Prim;

struct Division {
  Linear quotient, remainder;
};

// form = divisor · quotient + remainder with 0 <= remainder < divisor, if the digits allow it.
std::optional<Division> divide(const Linear& form, int64_t divisor) {
  Division d;
  d.quotient.constant = sym::floor_div(form.constant, divisor);
  d.remainder.constant = form.constant - d.quotient.constant * divisor;
  int64_t low = d.remainder.constant, high = d.remainder.constant;
  for (const auto& [digit, coefficient] : form.terms) {
    // The part of the digit above `period` contributes whole multiples of the divisor.
    const int64_t period = divisor / std::gcd(coefficient, divisor);
    if (period == 1) {
      d.quotient.terms[digit] += coefficient / divisor;
      continue;
    }
    Digit lower = digit;
    if (digit.count > period && digit.count % period == 0) {
      const Digit upper{digit.variable, digit.divisor * period, digit.count / period};
      d.quotient.terms[upper] += coefficient * period / divisor;
      lower.count = period;
    }
    d.remainder.terms[lower] += coefficient;
    (coefficient > 0 ? high : low) += coefficient * (lower.count - 1);
  }
  if (low < 0 || high >= divisor) return std::nullopt;
  return d;
}

std::optional<int64_t> constant_of(ir::Expr e) {
  const ir::ExprNode& n = e.node();
  return n.kind == ExprKind::constant ? std::optional(n.bits) : std::nullopt;
}

std::optional<Linear> form_of_primitive(ir::Expr e, const Extents& extents) {
  const ir::ExprNode n = e.node();
  const ir::Expr a{e.pool, n.args[0]};
  const auto x = linear_form(a, extents);
  if (!x) return std::nullopt;
  if (n.prim == Prim::neg) return *x * -1;
  if (n.args.size() != 2) return std::nullopt;
  const ir::Expr b{e.pool, n.args[1]};
  if (n.prim == Prim::floor_div || n.prim == Prim::mod) {
    const auto divisor = constant_of(b);
    if (!divisor || *divisor <= 0) return std::nullopt;
    const auto division = divide(*x, *divisor);
    if (!division) return std::nullopt;
    return n.prim == Prim::mod ? division->remainder : division->quotient;
  }
  const auto y = linear_form(b, extents);
  if (!y) return std::nullopt;
  if (n.prim == Prim::add) return *x + *y;
  if (n.prim == Prim::sub) return *x + *y * -1;
  if (n.prim == Prim::mul && y->terms.empty()) return *x * y->constant;
  if (n.prim == Prim::mul && x->terms.empty()) return *y * x->constant;
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> Extents::of(const ir::Var& var) const {
  if (var.kind == ir::Var::Kind::output)
    return var.number < output.size() ? std::optional(output[var.number]) : std::nullopt;
  const auto at = free.find(var.number);
  return var.kind == ir::Var::Kind::free && at != free.end() ? std::optional(at->second)
                                                             : std::nullopt;
}

Linear operator+(const Linear& a, const Linear& b) {
  Linear sum = a;
  sum.constant += b.constant;
  for (const auto& [digit, coefficient] : b.terms) sum.terms[digit] += coefficient;
  std::erase_if(sum.terms, [](const auto& t) { return t.second == 0; });
  return sum;
}

Linear operator*(const Linear& a, int64_t factor) {
  if (factor == 0) return {};
  Linear product = a;
  product.constant *= factor;
  for (auto& term : product.terms) term.second *= factor;
  return product;
}

std::optional<Linear> linear_form(ir::Expr index, const Extents& extents) {
  const ir::ExprNode& n = index.node();
  switch (n.kind) {
    case ExprKind::constant: {
      Linear form;
      form.constant = n.bits;
      return form;
    }
    case ExprKind::variable: {
      const auto extent = extents.of(n.var);
      if (!extent) return std::nullopt;
      Linear form;
      if (*extent > 1) form.terms[{index.id, 1, *extent}] = 1;
      return form;
    }
    case ExprKind::primitive: return form_of_primitive(index, extents);
    case ExprKind::size:
    case ExprKind::read:
    case ExprKind::cast:
    case ExprKind::reduce: return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Strided> strided(const Linear& form, const ir::ExprPool& pool,
                               const Extents& extents) {
  // Cuts of each variable, as divisors; a digit spans [divisor, divisor · count).
  std::map<ir::ExprId, std::set<int64_t>> cuts;
  for (const auto& [digit, coefficient] : form.terms) {
    cuts[digit.variable].insert(digit.divisor);
    cuts[digit.variable].insert(digit.divisor * digit.count);
  }
  Strided result;
  result.offset = form.constant;
  for (auto& [variable, at] : cuts) {
    const auto extent = extents.of(pool.node(variable).var);
    if (!extent) return std::nullopt;
    at.insert(1);
    at.insert(*extent);
    std::map<int64_t, int64_t> coefficient;  // by cut: of the digit from there to the next cut
    for (const auto& [digit, value] : form.terms) {
      if (digit.variable != variable) continue;
      for (int64_t cut : at)
        if (cut >= digit.divisor && cut < digit.divisor * digit.count)
          coefficient[cut] += value * (cut / digit.divisor);
    }
    int64_t previous = 0;
    const int64_t stride = coefficient.contains(1) ? coefficient.at(1) : 0;
    for (int64_t cut : at) {
      if (previous != 0 && cut % previous != 0) return std::nullopt;
      previous = cut;
      if (cut == *extent) break;
      const int64_t found = coefficient.contains(cut) ? coefficient.at(cut) : 0;
      if (found != stride * cut) return std::nullopt;
    }
    if (stride != 0) result.strides[variable] = stride;
  }
  return result;
}

}  // namespace tessera::plan
