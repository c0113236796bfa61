// SPDX-License-Identifier: Apache-2.0
// Splits dividends by the divisors they share with the divisor.
#include "codegen/simplify.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "base/check.h"
#include "ops/index_analysis.h"

namespace tessera::codegen {
namespace {

using ir::Expr;
using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;
using ops::Affine;

class Simplifier {
 public:
  Simplifier(ir::ExprPool& pool, const std::vector<ExprId>& roots, const Shape& shape)
      : pool_(pool), analysis_(pool, roots, shape), size_(pool.size()), bound_(size_) {
    for (ExprId id = 0; id < size_; ++id) {
      const ExprNode& n = pool.node(id);
      bound_[id] = n.kind == ExprKind::reduce ||
                   (n.kind == ExprKind::variable && n.var.kind != ir::Var::Kind::output);
      for (ExprId a : n.args) bound_[id] = bound_[id] || bound_[a];
    }
  }

  /// The replacement of a division or remainder, if there is one.
  std::optional<Expr> operator()(Expr e) {
    if (e.id >= size_ || !is_division(e.id)) return std::nullopt;
    const Expr simple = small(e.id);
    return simple == e ? std::nullopt : std::optional(simple);
  }

 private:
  bool is_division(ExprId id) const {
    const ExprNode& n = pool_.node(id);
    return n.kind == ExprKind::primitive && n.type == DType::i64 && !bound_[id] &&
           analysis_.is_used(id) && (n.prim == Prim::floor_div || n.prim == Prim::mod);
  }

  Expr sum(const Affine& affine) {
    Expr total = pool_.integer(affine.constant);
    for (const auto& [atom, coefficient] : affine.terms) {
      const Expr part = is_division(atom) ? small(atom) : Expr{&pool_, atom};
      total = total + part * pool_.integer(coefficient);
    }
    return total;
  }

  Expr small(ExprId id) {
    if (auto known = known_.find(id); known != known_.end()) return known->second;
    const Expr result = make_small(id);
    known_.emplace(id, result);
    return result;
  }

  Expr make_small(ExprId id) {
    const ExprNode n = pool_.node(id);
    const Affine whole = analysis_.affine(id);
    const bool is_atom = whole.terms.size() == 1 && whole.terms[0].first == id;
    if (!is_atom) return sum(whole);
    const Affine divisor = analysis_.affine(n.args[1]), value = analysis_.affine(n.args[0]);
    if (!divisor.terms.empty() || divisor.constant <= 0) return {&pool_, id};
    int64_t best = 1;
    Affine high, low;
    for (const auto& term : value.terms) {
      const int64_t g = std::gcd(term.second, divisor.constant);
      if (g <= best) continue;
      Affine a, r{sym::modulo(value.constant, g), {}};
      a.constant = sym::floor_div(value.constant, g);
      for (const auto& [atom, coefficient] : value.terms) {
        if (coefficient % g == 0) a.terms.emplace_back(atom, coefficient / g);
        else r.terms.emplace_back(atom, coefficient);
      }
      if (!analysis_.interval(r).within(0, g - 1)) continue;
      best = g;
      high = std::move(a);
      low = std::move(r);
    }
    if (best == 1) return {&pool_, id};
    const Expr smaller = ir::binary(n.prim, sum(high), pool_.integer(divisor.constant / best));
    return n.prim == Prim::floor_div ? smaller : smaller * pool_.integer(best) + sum(low);
  }

  ir::ExprPool& pool_;
  ops::IndexAnalysis analysis_;
  ExprId size_;
  std::vector<bool> bound_;  // by node: holds a bound variable
  std::unordered_map<ExprId, Expr> known_;
};

// Whether a reduction has one value for all elements along the axis, which a row computes once: the
// axis must then stay whole, since a row does not reach beyond the innermost axis.
bool has_row_reduction(const ir::Meaning& meaning, uint32_t axis) {
  std::vector<bool> varies(meaning.pool->size());
  for (ExprId id = 0; id < meaning.pool->size(); ++id) {
    const ExprNode& n = meaning.pool->node(id);
    varies[id] = n.kind == ExprKind::variable && n.var == ir::Var{ir::Var::Kind::output, axis};
    for (ExprId a : n.args) varies[id] = varies[id] || varies[a];
    if (n.kind == ExprKind::reduce && !varies[id]) return true;
  }
  return false;
}

// By output axis: a number that divides its extent and by which it is divided somewhere, or 0.
std::vector<int64_t> splits(const ir::Meaning& meaning, int64_t smallest) {
  const Shape shape = meaning.output_type(0).concrete_shape();
  std::vector<int64_t> result(shape.size());
  for (ExprId id = 0; id < meaning.pool->size(); ++id) {
    const ExprNode& n = meaning.pool->node(id);
    if (n.kind != ExprKind::primitive || n.type != DType::i64 ||
        (n.prim != Prim::floor_div && n.prim != Prim::mod))
      continue;
    const ExprNode &dividend = meaning.pool->node(n.args[0]), &by = meaning.pool->node(n.args[1]);
    if (dividend.kind != ExprKind::variable || dividend.var.kind != ir::Var::Kind::output ||
        by.kind != ExprKind::constant || by.bits < smallest)
      continue;
    const int64_t extent = shape[dividend.var.number];
    int64_t& split = result[dividend.var.number];
    if (by.bits < extent && extent % by.bits == 0 && (split == 0 || by.bits < split))
      split = by.bits;
  }
  // The innermost axis of all that are longer than 1.
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] == 1) continue;
    if (result[axis] != 0 && has_row_reduction(meaning, static_cast<uint32_t>(axis)))
      result[axis] = 0;
    break;
  }
  return result;
}

}  // namespace

ir::Meaning with_small_divisions(const ir::Meaning& meaning, int64_t smallest) {
  ir::Meaning result;
  result.pool = std::make_unique<ir::ExprPool>();
  result.inputs = meaning.inputs;
  result.requirements = meaning.requirements;
  const Shape old_shape = meaning.output_type(0).concrete_shape();
  for (size_t k = 1; k < meaning.outputs.size(); ++k)
    TESSERA_CHECK(meaning.output_type(k).concrete_shape() == old_shape,
                  "outputs of different shapes in one kernel");
  const std::vector<int64_t> split = splits(meaning, smallest);
  ir::Dims shape;
  std::vector<Expr> variables;
  const auto add_axis = [&](int64_t extent) {
    const auto number = static_cast<uint32_t>(shape.size());
    shape.push_back(extent);
    return result.pool->variable({ir::Var::Kind::output, number});
  };
  for (size_t axis = 0; axis < old_shape.size(); ++axis) {
    if (split[axis] == 0) {
      variables.push_back(add_axis(old_shape[axis]));
      continue;
    }
    const Expr high = add_axis(old_shape[axis] / split[axis]), low = add_axis(split[axis]);
    variables.push_back(high * result.pool->integer(split[axis]) + low);
  }
  std::vector<ExprId> roots;
  for (const ir::MeaningOutput& o : meaning.outputs) {
    result.outputs.push_back({shape, result.pool->import(o.body, variables)});
    roots.push_back(result.outputs.back().body.id);
  }
  Simplifier simplify(*result.pool, roots, result.output_type(0).concrete_shape());
  for (ir::MeaningOutput& o : result.outputs)
    o.body = result.pool->rewrite(o.body, [&](Expr e) { return simplify(e); });
  return result;
}

}  // namespace tessera::codegen
