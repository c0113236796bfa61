// SPDX-License-Identifier: Apache-2.0
// Selects whose condition is one for many lanes: decided when the code is made, because the loop
// over lanes is cut where conditions on the lane alone change (a concatenation along the inner
// axis), or branches.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <set>

#include "base/check.h"
#include "codegen/emit_scalar.h"
#include "codegen/emitter.h"

namespace tessera::codegen {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;
using llvm::Value;
using ops::Affine;
using ops::Interval;

namespace {

// Code grows with each cut.
constexpr size_t most_cuts = 12;

bool is_order(const ir::ExprPool& pool, const ExprNode& n) {
  return n.kind == ExprKind::primitive && (n.prim == Prim::lt || n.prim == Prim::le) &&
         pool.node(n.args[0]).type == DType::i64;
}

}  // namespace

// Where on the inner axis a condition changes that depends on nothing else. No segment between cuts
// is shorter than a vector.
std::vector<int64_t> Emitter::lane_cuts() {
  std::set<int64_t> found;
  const ir::Var inner{ir::Var::Kind::output, nest_.inner->variable};
  for (ExprId id = 0; id < nest_.masks.size(); ++id) {
    if (!nest_.analysis.is_used(id) || !is_order(nest_.pool, nest_.pool.node(id))) continue;
    const ExprNode& n = nest_.pool.node(id);
    Affine room = nest_.analysis.affine(n.args[1]) + nest_.analysis.affine(n.args[0]) * -1;
    if (n.prim == Prim::lt) room.constant -= 1;
    int64_t slope = 0;
    bool is_alone = true;
    for (const auto& [term, coefficient] : room.terms) {
      const ExprNode& t = nest_.pool.node(term);
      if (t.kind == ExprKind::variable && t.var == inner) slope = coefficient;
      else is_alone = is_alone && is_melted(t);
    }
    if (slope == 0 || !is_alone) continue;
    // room >= 0 from here on (slope > 0), or until before here.
    const int64_t cut = slope > 0 ? -sym::floor_div(room.constant, slope)
                                  : sym::floor_div(room.constant, -slope) + 1;
    if (cut > 0 && cut < nest_.inner->extent) found.insert(cut);
  }
  std::vector<int64_t> cuts;
  int64_t last = 0;
  for (const int64_t cut : found) {
    if (cut - last < nest_.lanes || nest_.inner->extent - cut < nest_.lanes) continue;
    cuts.push_back(cut);
    last = cut;
  }
  if (cuts.size() > most_cuts) cuts.clear();
  return cuts;
}

// An output variable that another one carries: its counter is 0.
bool Emitter::is_melted(const ExprNode& n) const {
  if (n.kind != ExprKind::variable || n.var.kind != ir::Var::Kind::output) return false;
  for (const auto& axis : {nest_.inner, nest_.interleaved})
    if (axis && axis->variable == n.var.number) return false;
  for (const NestAxis& axis : nest_.outer)
    if (axis.variable == n.var.number) return false;
  return true;
}

// The condition's value where it is the same in the whole segment.
std::optional<bool> Emitter::decided(ExprId condition) {
  if (!segment_) return std::nullopt;
  const ExprNode& n = nest_.pool.node(condition);
  if (n.kind != ExprKind::primitive) return std::nullopt;
  if (n.prim == Prim::logical_not) {
    const auto inner = decided(n.args[0]);
    return inner ? std::optional(!*inner) : std::nullopt;
  }
  if (n.prim == Prim::logical_and || n.prim == Prim::logical_or) {
    const bool decisive = n.prim == Prim::logical_or;  // one such operand decides
    const auto a = decided(n.args[0]), b = decided(n.args[1]);
    if ((a && *a == decisive) || (b && *b == decisive)) return decisive;
    return a && b ? std::optional(!decisive) : std::nullopt;
  }
  if (!is_order(nest_.pool, n)) return std::nullopt;
  Affine room = nest_.analysis.affine(n.args[1]) + nest_.analysis.affine(n.args[0]) * -1;
  if (n.prim == Prim::lt) room.constant -= 1;
  // Of the terms only the lane is known better than when guards were analysed.
  __int128 low = room.constant, high = room.constant;
  bool has_lane = false;
  for (const auto& [term, coefficient] : room.terms) {
    const ExprNode& t = nest_.pool.node(term);
    if (is_melted(t)) continue;
    const bool is_inner = t.kind == ExprKind::variable &&
                          t.var == ir::Var{ir::Var::Kind::output, nest_.inner->variable};
    if (!is_inner) return std::nullopt;
    has_lane = true;
    const auto ends = std::minmax({static_cast<__int128>(segment_->low) * coefficient,
                                   static_cast<__int128>(segment_->high) * coefficient});
    low += ends.first;
    high += ends.second;
  }
  if (!has_lane) return std::nullopt;
  if (low >= 0) return true;
  if (high < 0) return false;
  return std::nullopt;
}

// A value of this scope is computed before a branch that asks for it is taken.
bool Emitter::leaves_branch(size_t scope) const {
  return !branch_scopes_.empty() && branch_scopes_.back() > scope;
}

// One condition for all lanes, and elements to be loaded for only one of the two results.
bool Emitter::is_worth_a_branch(const ExprNode& n) const {
  if (is_lane(nest_.masks[n.args[0]]) || nest_.pool.node(n.args[0]).type != DType::boolean)
    return false;
  for (size_t k = 1; k < 3; ++k) {
    ExprId id = n.args[k];
    while (nest_.pool.node(id).kind == ExprKind::cast) id = nest_.pool.node(id).args[0];
    const ExprKind kind = nest_.pool.node(id).kind;
    const bool loads =
        kind == ExprKind::read || kind == ExprKind::primitive || kind == ExprKind::reduce;
    if (loads && is_lane(nest_.masks[id])) return true;
  }
  return false;
}

// The select as a branch. Each side is a scope that knows what the scope around it knows; what it
// adds is forgotten after it.
Value* Emitter::branch(const ExprNode& n, size_t s) {
  Value* chosen = value(n.args[0]);
  const size_t inner = scopes_.size() - 1;
  TESSERA_CHECK(inner == s, "a branch in an outer scope");
  llvm::BasicBlock* sides[2] = {new_block("then"), new_block("else")};
  llvm::BasicBlock* ends[2];
  llvm::BasicBlock* after = new_block("join");
  Value* results[2];
  for (int k = 0; k < 2; ++k) {
    Scope side = scopes_[s];
    side.block = sides[k];
    scopes_.push_back(std::move(side));
    branch_scopes_.push_back(s + 1);
    results[k] = value(n.args[static_cast<size_t>(k) + 1]);
    branch_scopes_.pop_back();
    at(s + 1);
    results[k] = widened(results[k], nest_.lanes);
    b_.CreateBr(after);
    ends[k] = scopes_.back().block;
    scopes_.pop_back();
  }
  at(s).CreateCondBr(chosen, sides[0], sides[1]);
  scopes_[s].block = after;
  at(s);
  llvm::PHINode* joined = b_.CreatePHI(results[0]->getType(), 2);
  for (int k = 0; k < 2; ++k) joined->addIncoming(results[k], ends[k]);
  return joined;
}

}  // namespace tessera::codegen
