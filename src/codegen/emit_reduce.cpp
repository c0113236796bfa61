// SPDX-License-Identifier: Apache-2.0
// Reductions: nests of one kind share their accumulator; lanes run along one of their variables
// unless an outer loop has them.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <bit>

#include "base/check.h"
#include "codegen/emit_scalar.h"
#include "codegen/emitter.h"
#include "ir/scalar_eval.h"

namespace tessera::codegen {

using ir::ExprNode;
using ir::Prim;
using llvm::Value;

Value* Emitter::reduce(ExprId id, size_t s) {
  const ExprNode& n = nest_.pool.node(id);
  Reduction r;
  r.chain = nest_.chain(id);
  r.combine = ir::combiner(n.reduction);
  r.type = n.type;
  const bool in_lanes = is_lane(nest_.masks[id]);
  if (!in_lanes) r.lane = nest_.lane_variable(r.chain);
  const int lanes = in_lanes || r.lane >= 0 ? nest_.lanes : 0;
  const ir::Scalar start = ir::identity(n.reduction, n.type);
  Value* first =
      constant(b_, n.type, is_float(n.type) ? std::bit_cast<int64_t>(start.real) : start.integer);
  r.total = new_cell(widened(first, lanes), s);
  if (nest_.tainted[id]) r.poisoned = new_cell(widened(b_.getFalse(), lanes), s);
  reduce_loops(r, 0);
  at(s);
  Value* total = b_.CreateLoad(r.total->getAllocatedType(), r.total);
  if (r.lane >= 0) total = emit_horizontal(b_, r.combine, r.type, total);
  if (r.poisoned) {
    Value* bad = b_.CreateLoad(r.poisoned->getAllocatedType(), r.poisoned);
    scopes_[s].poisons[id] = r.lane >= 0 ? b_.CreateOrReduce(bad) : bad;
  }
  return total;
}

void Emitter::reduce_loops(Reduction& r, size_t depth) {
  if (depth == r.chain.nodes.size()) return r.lane >= 0 ? reduce_lanes(r) : reduce_body(r);
  if (static_cast<int>(depth) == r.lane) return reduce_loops(r, depth + 1);
  const ExprNode& n = nest_.pool.node(r.chain.nodes[depth]);
  Value* extent = value(n.args[0]);
  at(scopes_.size() - 1);
  // Few iterations become copies of the body, in which index arithmetic folds.
  constexpr int64_t most_copies = 16, most_nested = 64;
  const auto* known = llvm::dyn_cast<llvm::ConstantInt>(extent);
  const int64_t count = known ? known->getSExtValue() : 0;
  if (count > 0 && count * r.unrolled <= most_copies && count * copies_ <= most_nested &&
      !nest_.tainted[n.args[0]]) {
    r.unrolled *= count;
    unroll(count, variable_bit(n.var), [&] { reduce_loops(r, depth + 1); });
    r.unrolled /= count;
    return;
  }
  Value* limit = extent;
  if (extent->getType()->isVectorTy()) limit = b_.CreateIntMaxReduce(extent, true);
  const Loop loop = open(integer(0), limit, 1, variable_bit(n.var));
  Value* outer_active = r.active;
  if (extent->getType()->isVectorTy()) {
    at(scopes_.size() - 1);
    Value* inside = b_.CreateICmpSLT(widened(loop.counter, nest_.lanes), extent);
    r.active = r.active ? b_.CreateAnd(r.active, inside) : inside;
  }
  // The bad extent of an inner reduction spoils the whole.
  if (Value* bad = poison(n.args[0]); bad && r.poisoned) {
    at(scopes_.size() - 1);
    Value* before = b_.CreateLoad(r.poisoned->getAllocatedType(), r.poisoned);
    const int lanes = r.poisoned->getAllocatedType()->isVectorTy() ? nest_.lanes : 0;
    b_.CreateStore(b_.CreateOr(before, widened(bad, lanes)), r.poisoned);
  }
  reduce_loops(r, depth + 1);
  r.active = outer_active;
  close(loop);
}

void Emitter::reduce_lanes(Reduction& r) {
  const ExprNode& n = nest_.pool.node(r.chain.nodes[static_cast<size_t>(r.lane)]);
  Value* limit = value(n.args[0]);
  const auto* known = llvm::dyn_cast<llvm::ConstantInt>(limit);
  const bool has_rest = !known || known->getSExtValue() % nest_.lanes != 0;
  reducing_.push_back(r.chain.nodes[0]);
  for_lanes(integer(0), limit, variable_bit(n.var), has_rest, [&] {
    r.active = scopes_.back().mask;
    prefetch_own_row(r.chain.nodes[0]);
    reduce_body(r);
    r.active = nullptr;
  });
  reducing_.pop_back();
}

void Emitter::reduce_body(Reduction& r) {
  const ExprNode& body = nest_.pool.node(r.chain.body);
  llvm::Type* type = r.total->getAllocatedType();
  const int lanes = type->isVectorTy() ? nest_.lanes : 0;
  const bool is_product = r.combine == Prim::add && is_float(r.type) &&
                          body.kind == ir::ExprKind::primitive && body.prim == Prim::mul;
  Value* x = value(is_product ? body.args[0] : r.chain.body);
  Value* y = is_product ? value(body.args[1]) : nullptr;
  Value* bad = r.poisoned ? poison(r.chain.body) : nullptr;
  at(scopes_.size() - 1);
  x = widened(x, lanes);
  Value* before = b_.CreateLoad(type, r.total);
  Value* after = is_product ? b_.CreateIntrinsic(llvm::Intrinsic::fmuladd, {type},
                                                 {x, widened(y, lanes), before})
                            : emit_combine(b_, r.combine, r.type, x, before);
  if (r.active) after = b_.CreateSelect(r.active, after, before);
  b_.CreateStore(after, r.total);
  if (!bad) return;
  bad = widened(bad, lanes);
  if (r.active) bad = b_.CreateAnd(bad, r.active);
  Value* known = b_.CreateLoad(r.poisoned->getAllocatedType(), r.poisoned);
  b_.CreateStore(b_.CreateOr(known, bad), r.poisoned);
}

}  // namespace tessera::codegen
