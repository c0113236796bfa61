// SPDX-License-Identifier: Apache-2.0
// Splits dividends by the divisors they share with the divisor.
#include "codegen/simplify.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

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

}  // namespace

ir::Meaning with_small_divisions(const ir::Meaning& meaning) {
  ir::Meaning result;
  result.pool = std::make_unique<ir::ExprPool>();
  result.inputs = meaning.inputs;
  result.requirements = meaning.requirements;
  std::vector<ExprId> roots;
  for (const ir::MeaningOutput& o : meaning.outputs) {
    result.outputs.push_back({o.shape, result.pool->import(o.body, {})});
    roots.push_back(result.outputs.back().body.id);
  }
  Simplifier simplify(*result.pool, roots, meaning.output_type(0).concrete_shape());
  for (ir::MeaningOutput& o : result.outputs)
    o.body = result.pool->rewrite(o.body, [&](Expr e) { return simplify(e); });
  return result;
}

}  // namespace tessera::codegen
