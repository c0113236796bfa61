// SPDX-License-Identifier: Apache-2.0
// Selects whose condition is one for many lanes: decided when the code is made, because the loop
// over lanes is cut where conditions on the lane alone change (a concatenation along the inner
// axis) or because rows inside of all windows have code of their own, or branches.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <cstdlib>
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

// Numbers up to here may be multiplied.
constexpr int64_t far_index = INT32_MAX;

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

// The condition's value where it is the same in the whole segment, or in the interior.
std::optional<bool> Emitter::decided(ExprId condition) {
  if (in_interior_ && interior_.conditions.contains(condition)) return true;
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

// Conditions on one variable of the rows and on variables of reductions, and the rows in which they
// hold for all values of the latter; nothing when such rows are few.
void Emitter::find_interior() {
  constexpr double least_share = 0.25;
  if (!nest_.inner || nest_.group > 1 || nest_.interleaved) return;
  Interior found;
  for (const NestAxis& axis : nest_.outer) found.where[axis.variable] = {0, axis.extent - 1};
  for (ExprId id = 0; id < nest_.masks.size(); ++id) {
    if (!nest_.analysis.is_used(id) || !is_order(nest_.pool, nest_.pool.node(id))) continue;
    const ExprNode& n = nest_.pool.node(id);
    Affine room = nest_.analysis.affine(n.args[1]) + nest_.analysis.affine(n.args[0]) * -1;
    if (n.prim == Prim::lt) room.constant -= 1;
    const auto [row, least] = least_room(room);
    if (!row) continue;
    // row->second · variable + least >= 0
    Interval& where = found.where.at(row->first);
    if (row->second > 0) where.low = std::max(where.low, -sym::floor_div(least, row->second));
    else where.high = std::min(where.high, sym::floor_div(least, -row->second));
    found.conditions.insert(id);
  }
  double share = 1;
  for (const NestAxis& axis : nest_.outer) {
    const Interval& where = found.where[axis.variable];
    share *= static_cast<double>(std::max<int64_t>(where.high - where.low + 1, 0)) /
             static_cast<double>(axis.extent);
  }
  if (share >= least_share && !found.conditions.empty()) interior_ = std::move(found);
}

// The variable of the rows in `room` with its coefficient, and the least that the rest can be over
// the variables of reductions, of which there is one at least.
std::pair<std::optional<std::pair<uint32_t, int64_t>>, int64_t> Emitter::least_room(
    const Affine& room) {
  std::optional<std::pair<uint32_t, int64_t>> row;
  int64_t least = room.constant;
  bool is_reduced = false;
  for (const auto& [term, coefficient] : room.terms) {
    const ExprNode& t = nest_.pool.node(term);
    if (is_melted(t)) continue;
    if (t.kind != ExprKind::variable) return {};
    if (t.var.kind == ir::Var::Kind::output) {
      if (row || t.var.number == nest_.inner->variable) return {};
      row = {t.var.number, coefficient};
      continue;
    }
    const Interval range = nest_.analysis.interval(term);
    if (!range.within(-far_index, far_index) || std::abs(coefficient) > far_index) return {};
    least += coefficient * (coefficient > 0 ? range.low : range.high);
    is_reduced = true;
  }
  if (!is_reduced) return {};
  return {row, least};
}

// The row once for rows of the interior, where conditions are known, and once for the others.
void Emitter::for_interior(const std::function<void()>& body) {
  if (interior_.conditions.empty()) return body();
  const size_t s = scopes_.size() - 1;
  Value* inside = b_.getTrue();
  for (const auto& [variable, where] : interior_.where) {
    Value* at_row = counter({ir::Var::Kind::output, variable});
    at(s);
    Value* from = b_.CreateSub(at_row, integer(where.low));
    inside = b_.CreateAnd(inside, b_.CreateICmpULE(from, integer(where.high - where.low)));
  }
  llvm::BasicBlock* sides[2] = {new_block("interior"), new_block("border")};
  llvm::BasicBlock* after = new_block("row");
  at(s).CreateCondBr(inside, sides[0], sides[1]);
  copies_ *= 2;
  for (int k = 0; k < 2; ++k) {
    Scope side = scopes_[s];
    side.block = sides[k];
    scopes_.push_back(std::move(side));
    branch_scopes_.push_back(s + 1);
    in_interior_ = k == 0;
    body();
    in_interior_ = false;
    branch_scopes_.pop_back();
    at(s + 1).CreateBr(after);
    scopes_.pop_back();
  }
  copies_ /= 2;
  scopes_[s].block = after;
}

}  // namespace tessera::codegen
