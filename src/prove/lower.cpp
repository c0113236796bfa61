// SPDX-License-Identifier: Apache-2.0
// Scalar expressions as normal forms. An integer expression without reads is an index: a polynomial
// in sizes and index variables; conditions on indices become guards.
#include "prove/lower.h"

#include <array>
#include <cmath>

#include "base/check.h"

namespace tessera::prove {
namespace {

using ir::ExprKind;
using ir::Prim;

ir::Expr argument(ir::Expr e, size_t k) { return {e.pool, e.node().args[k]}; }

std::vector<std::vector<Guard>> both(const std::vector<std::vector<Guard>>& a,
                                     const std::vector<std::vector<Guard>>& b) {
  std::vector<std::vector<Guard>> r;
  for (const auto& x : a)
    for (const auto& y : b) {
      r.push_back(x);
      r.back().insert(r.back().end(), y.begin(), y.end());
    }
  return r;
}

// Every value of the first type has its own in the second.
bool keeps_values(DType a, DType b) {
  if (a == b || a == DType::boolean) return true;
  if (is_float(a)) {
    if (!is_float(b) || size_of(b) <= size_of(a)) return false;
    return true;
  }
  if (is_float(b)) return bit_width(a) <= (b == DType::f64 ? 32 : b == DType::f32 ? 16 : 8);
  if (b == DType::boolean) return false;
  if (is_unsigned_integer(a) && is_signed_integer(b)) return bit_width(b) > bit_width(a);
  return is_unsigned_integer(a) == is_unsigned_integer(b) && bit_width(b) >= bit_width(a);
}

bool is_infinite(const Sum& s) {
  return s.terms.size() == 1 && s.terms[0].factors.empty() && s.terms[0].bound.empty() &&
         s.terms[0].guards.empty() && std::isinf(s.terms[0].coefficient);
}

}  // namespace

bool Lowering::is_index(ir::Expr e) const {
  const ir::ExprNode& n = e.node();
  if (n.kind == ExprKind::read || n.kind == ExprKind::reduce) return false;
  if (is_float(n.type) || (n.type == DType::boolean && n.kind == ExprKind::constant)) return false;
  for (size_t k = 0; k < n.args.size(); ++k)
    if (!is_index(argument(e, k))) return false;
  return n.kind != ExprKind::primitive || !ir::gives_boolean(n.prim);
}

Index Lowering::index(ir::Expr e) {
  const ir::ExprNode& n = e.node();
  switch (n.kind) {
    case ExprKind::constant: return n.bits;
    case ExprKind::size: return e.pool->sizes()[n.size];
    case ExprKind::variable:
      if (n.var.kind == ir::Var::Kind::output) {
        const auto it = outputs_.find(n.var.number);
        return it != outputs_.end() ? it->second : Index::symbol(fmt::format("%{}", n.var.number));
      }
      return bound_.at(n.var.number);
    case ExprKind::cast: return index(argument(e, 0));
    case ExprKind::primitive: break;
    default: throw Undecided{"an index that depends on data"};
  }
  const auto at = [&](size_t k) { return index(argument(e, k)); };
  switch (n.prim) {
    case Prim::add: return at(0) + at(1);
    case Prim::sub: return at(0) - at(1);
    case Prim::mul: return at(0) * at(1);
    case Prim::neg: return -at(0);
    case Prim::floor_div: return facts_.simplified(sym::floor_div(at(0), at(1)));
    case Prim::mod: return facts_.simplified(sym::modulo(at(0), at(1)));
    case Prim::min: return facts_.simplified(sym::min(at(0), at(1)));
    case Prim::max: return facts_.simplified(sym::max(at(0), at(1)));
    case Prim::abs: return sym::max(at(0), -at(0));
    case Prim::div: {
      const Index a = at(0), b = at(1);
      if (facts_.nonnegative(a) && facts_.nonnegative(b - Index(1)))
        return facts_.simplified(sym::floor_div(a, b));
      break;
    }
    default: break;
  }
  throw Undecided{fmt::format("an index computed by {}", ir::to_string(n.prim))};
}

std::optional<Lowering::Cases> Lowering::cases(ir::Expr e) {
  const ir::ExprNode& n = e.node();
  if (n.kind == ExprKind::constant) {
    Cases c;
    (n.bits ? c.holds : c.fails).push_back({});
    return c;
  }
  if (n.kind != ExprKind::primitive) return std::nullopt;
  const auto operands = [&] { return is_index(argument(e, 0)) && is_index(argument(e, 1)); };
  switch (n.prim) {
    case Prim::logical_not: {
      auto c = cases(argument(e, 0));
      if (c) std::swap(c->holds, c->fails);
      return c;
    }
    case Prim::logical_and: {
      const auto a = cases(argument(e, 0)), b = cases(argument(e, 1));
      if (!a || !b) return std::nullopt;
      Cases c{both(a->holds, b->holds), a->fails};
      for (auto& g : both(a->holds, b->fails)) c.fails.push_back(std::move(g));
      return c;
    }
    case Prim::logical_or: {
      const auto a = cases(argument(e, 0)), b = cases(argument(e, 1));
      if (!a || !b) return std::nullopt;
      Cases c{a->holds, both(a->fails, b->fails)};
      for (auto& g : both(a->fails, b->holds)) c.holds.push_back(std::move(g));
      return c;
    }
    case Prim::lt:
    case Prim::le: {
      if (!operands()) return std::nullopt;
      const Index a = index(argument(e, 0)), b = index(argument(e, 1));
      const Index slack = n.prim == Prim::lt ? b - a - Index(1) : b - a;
      return Cases{{{{slack, false}}}, {{{-slack - Index(1), false}}}};
    }
    case Prim::eq:
    case Prim::ne: {
      if (!operands()) return std::nullopt;
      const Index d = index(argument(e, 0)) - index(argument(e, 1));
      Cases c{{{{d, true}}}, {{{d - Index(1), false}}, {{-d - Index(1), false}}}};
      if (n.prim == Prim::ne) std::swap(c.holds, c.fails);
      return c;
    }
    default: return std::nullopt;
  }
}

// A boolean as a number 0 or 1.
Sum Lowering::condition(ir::Expr e) {
  if (const auto c = cases(e)) {
    Sum total;
    const bool bits = algebra_.domain() == Domain::bits;
    for (const auto& g : c->holds)
      total = algebra_.add(total, algebra_.guarded(algebra_.constant(1), g));
    if (bits)
      for (const auto& g : c->fails)
        total = algebra_.add(total, algebra_.guarded(algebra_.constant(0), g));
    return total;
  }
  const ir::ExprNode& n = e.node();
  if (n.kind != ExprKind::primitive) return value(e);
  const auto at = [&](size_t k) { return condition(argument(e, k)); };
  const auto complement = [&](const Sum& s) {
    if (algebra_.domain() == Domain::bits) return call("not", {s});
    return algebra_.add(algebra_.constant(1), algebra_.scale(s, -1));
  };
  switch (n.prim) {
    case Prim::logical_not: return complement(at(0));
    case Prim::logical_and:
      if (algebra_.domain() == Domain::bits) return call("and", {at(0), at(1)});
      return algebra_.multiply(at(0), at(1));
    case Prim::logical_or: {
      if (algebra_.domain() == Domain::bits) return call("or", {at(0), at(1)});
      return complement(algebra_.multiply(complement(at(0)), complement(at(1))));
    }
    case Prim::lt:
    case Prim::le:
    case Prim::eq:
    case Prim::ne: return comparison(n.prim, argument(e, 0), argument(e, 1));
    default: return value(e);
  }
}

Sum Lowering::comparison(Prim prim, ir::Expr x, ir::Expr y) {
  const auto complement = [&](const Sum& s) {
    return algebra_.add(algebra_.constant(1), algebra_.scale(s, -1));
  };
  const Sum a = value(x), b = value(y);
  if (prim == Prim::lt && is_unsigned_integer(x.type()) && print(b) == print(algebra_.constant(0)))
    return algebra_.constant(0);
  if (algebra_.domain() == Domain::bits) return call(std::string(ir::to_string(prim)), {a, b});
  if (x.type() == DType::boolean && prim != Prim::lt && prim != Prim::le) {
    const Sum ab = algebra_.multiply(a, b);  // a = b: 1 − a − b + 2ab
    const Sum same = algebra_.add(complement(algebra_.add(a, b)), algebra_.scale(ab, 2));
    return prim == Prim::eq ? same : complement(same);
  }
  if (algebra_.domain() != Domain::reals) {
    switch (prim) {
      case Prim::lt: return call("lt", {a, b});
      case Prim::le: return complement(call("lt", {b, a}));
      case Prim::eq: return call("zero", {algebra_.add(a, algebra_.scale(b, -1))});
      default: return complement(call("zero", {algebra_.add(a, algebra_.scale(b, -1))}));
    }
  }
  const bool equality = prim == Prim::eq || prim == Prim::ne;
  if (equality && ((is_infinite(a) && algebra_.is_finite(b, facts_)) ||
                   (is_infinite(b) && algebra_.is_finite(a, facts_))))
    return algebra_.constant(prim == Prim::ne);
  const Sum d = algebra_.add(b, algebra_.scale(a, -1));
  switch (prim) {
    case Prim::lt: return call("positive", {d});
    case Prim::le: return complement(call("positive", {algebra_.scale(d, -1)}));
    case Prim::eq: return call("zero", {d});
    default: return complement(call("zero", {d}));
  }
}

Sum Lowering::value(ir::Expr e) {
  const ir::ExprNode& n = e.node();
  if (n.type != DType::boolean && n.kind != ExprKind::constant && is_index(e))
    return algebra_.number(index(e));
  switch (n.kind) {
    case ExprKind::constant:
      if (is_float(n.type))
        if (const auto p = algebra_.parameters.find(ir::real_value(n));
            p != algebra_.parameters.end())
          return algebra_.parameter(p->second);
      if (!is_float(n.type) && (n.bits > (int64_t{1} << 53) || n.bits < -(int64_t{1} << 53)))
        throw Undecided{"an integer beyond 2^53"};
      return algebra_.constant(is_float(n.type) ? ir::real_value(n) : static_cast<double>(n.bits));
    case ExprKind::read: {
      if (n.input >= Composer::first_parameter)
        return algebra_.parameter(fmt::format("${}", n.input - Composer::first_parameter));
      std::vector<Index> indices;
      for (size_t k = 0; k < n.args.size(); ++k)
        indices.push_back(facts_.simplified(index(argument(e, k))));
      if (on_read) on_read(n.input, indices, facts_);
      return algebra_.read(n.input, std::move(indices), n.type == DType::boolean);
    }
    case ExprKind::cast: return convert(e);
    case ExprKind::reduce: return reduce(e);
    case ExprKind::primitive:
      if (n.prim == Prim::select) return select(e);
      if (ir::gives_boolean(n.prim) && n.prim != Prim::is_nan) return condition(e);
      return primitive(e);
    default: throw Undecided{"a size outside of an index"};
  }
}

Sum Lowering::under(const std::vector<Guard>& guards, ir::Expr e) {
  for (const Guard& g : guards)
    if (facts_.refutes(g)) return {};
  const Facts saved = facts_;
  for (const Guard& g : guards) facts_.assume(g);
  const Sum s = algebra_.guarded(value(e), guards);
  facts_ = saved;
  return s;
}

Sum Lowering::select(ir::Expr e) {
  const ir::Expr yes = argument(e, 1), no = argument(e, 2);
  if (const auto c = cases(argument(e, 0))) {
    Sum total;
    for (const auto& g : c->holds) total = algebra_.add(total, under(g, yes));
    for (const auto& g : c->fails) total = algebra_.add(total, under(g, no));
    return total;
  }
  const Sum c = condition(argument(e, 0));
  // Data choose: only what both branches ask for is known to hold.
  const Algebra::Obligations before = algebra_.obligations();
  const Sum a = value(yes);
  const Algebra::Obligations first = algebra_.obligations();
  if (algebra_.assumes()) algebra_.restore(before);
  const Sum b = value(no);
  if (algebra_.assumes()) algebra_.keep_shared(first);
  if (algebra_.domain() != Domain::bits)
    return algebra_.add(
        algebra_.multiply(c, a),
        algebra_.multiply(algebra_.add(algebra_.constant(1), algebra_.scale(c, -1)), b));
  const bool inverted = c.terms.size() == 1 && c.terms[0].factors.size() == 1 &&
                        c.terms[0].factors[0].atom->head == "not";
  if (print(a) == print(b)) return a;
  if (inverted) return call("select", {c.terms[0].factors[0].atom->entries[0].body, b, a});
  return call("select", {c, a, b});
}

Sum Lowering::reduce(ir::Expr e) {
  const ir::ExprNode n = e.node();
  const Index extent = index(argument(e, 0));
  const std::string v = algebra_.fresh_variable();
  const Index variable = Index::symbol(v);
  const auto previous = bound_.find(n.var.number);
  const std::optional<Index> outer =
      previous == bound_.end() ? std::nullopt : std::optional(previous->second);
  bound_.insert_or_assign(n.var.number, variable);
  const Facts saved = facts_;
  facts_.assume({variable, false});
  facts_.assume({extent - Index(1) - variable, false});
  const Sum body = value(argument(e, 1));
  facts_ = saved;
  if (outer) bound_.insert_or_assign(n.var.number, *outer);
  else bound_.erase(n.var.number);
  const Domain domain = algebra_.domain();
  const bool ring = domain == Domain::reals || domain == Domain::integers;
  switch (n.reduction) {
    case ir::Reduction::sum:
      if (ring && n.type != DType::boolean) return algebra_.sum_over(body, v, extent);
      return algebra_.reduce_over("sum", body, v, extent, facts_);
    case ir::Reduction::prod: return algebra_.reduce_over("prod", body, v, extent, facts_);
    case ir::Reduction::max: return algebra_.reduce_over("max", body, v, extent, facts_);
    case ir::Reduction::min: break;
  }
  if (domain == Domain::integers || domain == Domain::booleans || n.type == DType::boolean)
    return algebra_.reduce_over("min", body, v, extent, facts_);
  return algebra_.scale(algebra_.reduce_over("max", algebra_.scale(body, -1), v, extent, facts_),
                        -1);
}

Sum Lowering::convert(ir::Expr e) {
  const ir::Expr x = argument(e, 0);
  const DType from = x.type(), to = e.type();
  const Sum v = value(x);
  const Domain domain = algebra_.domain();
  if (domain == Domain::reals) {
    if (is_float(to)) return v;  // integers and booleans are the reals they stand for
    if (to == DType::boolean) {
      const std::array args{v};
      if (from == DType::boolean) return v;
      return algebra_.add(algebra_.constant(1),
                          algebra_.scale(algebra_.function("zero", args, facts_), -1));
    }
  }
  // Widening and then converting is converting.
  const auto* inner = v.terms.size() == 1 && v.terms[0].factors.size() == 1 &&
                              v.terms[0].coefficient == 1 && v.terms[0].factors[0].power == 1
                          ? v.terms[0].factors[0].atom.get()
                          : nullptr;
  if (inner && inner->head.starts_with("cast:")) {
    const std::string first = inner->head.substr(5, inner->head.find(':', 5) - 5);
    const auto source = dtype_from_string(first);
    if (source && keeps_values(*source, from)) {
      const Sum& x0 = inner->entries[0].body;
      const Sum direct =
          *source == to ? x0 : call(fmt::format("cast:{}:{}", first, to_string(to)), {x0});
      return v.terms[0].guards.empty() ? direct : algebra_.guarded(direct, v.terms[0].guards);
    }
  }
  return call(fmt::format("cast:{}:{}", to_string(from), to_string(to)), {v});
}

Sum Lowering::primitive(ir::Expr e) {
  const ir::ExprNode& n = e.node();
  const bool bits = algebra_.domain() == Domain::bits;
  const bool reals = algebra_.domain() == Domain::reals;
  const auto at = [&](size_t k) { return value(argument(e, k)); };
  const auto negative = [&](const Sum& s) { return algebra_.scale(s, -1); };
  switch (n.prim) {
    case Prim::neg: return negative(at(0));
    case Prim::add: return bits ? call("add", {at(0), at(1)}) : algebra_.add(at(0), at(1));
    case Prim::sub:
      return bits ? call("add", {at(0), negative(at(1))}) : algebra_.add(at(0), negative(at(1)));
    case Prim::mul: return bits ? call("mul", {at(0), at(1)}) : algebra_.multiply(at(0), at(1));
    case Prim::div:
      if (!reals) break;
      return algebra_.multiply(at(0), algebra_.inverse(at(1), facts_));
    case Prim::max: return algebra_.maximum(at(0), at(1), facts_);
    case Prim::min:
      if (!bits && !reals) break;
      return negative(algebra_.maximum(negative(at(0)), negative(at(1)), facts_));
    case Prim::abs: {
      if (!reals) break;
      const Sum x = at(0);
      return algebra_.maximum(x, negative(x), facts_);
    }
    case Prim::log1p:
      if (!reals) break;
      return call("log", {algebra_.add(algebra_.constant(1), at(0))});
    case Prim::expm1:
      if (!reals) break;
      return algebra_.add(call("exp", {at(0)}), algebra_.constant(-1));
    case Prim::pow: {
      if (!reals) break;
      const ir::ExprNode& exponent = argument(e, 1).node();
      if (exponent.kind != ExprKind::constant || !is_float(exponent.type)) break;
      const double p = ir::real_value(exponent);
      const bool whole = p == std::round(p) && std::abs(p) <= 16;
      if (whole && p >= 0) return algebra_.power(at(0), static_cast<int>(p));
      if (whole) return algebra_.inverse(algebra_.power(at(0), static_cast<int>(-p)), facts_);
      if (p == 0.5) return call("sqrt", {at(0)});
      if (p == -0.5) return algebra_.inverse(call("sqrt", {at(0)}), facts_);
      break;
    }
    default: break;
  }
  std::vector<Sum> args;
  for (size_t k = 0; k < n.args.size(); ++k) args.push_back(at(k));
  std::string head(ir::to_string(n.prim));
  if (!reals && !bits) head += fmt::format(":{}", to_string(n.type));
  if (n.prim == Prim::max || n.prim == Prim::min) head = ir::to_string(n.prim);
  return algebra_.function(head, args, facts_);
}

}  // namespace tessera::prove
