// SPDX-License-Identifier: Apache-2.0
// Epilogues as instructions on vectors.

#include <llvm/IR/IRBuilder.h>

#include "base/check.h"
#include "codegen/emit_scalar.h"
#include "ops/counts.h"

namespace tessera::codegen {
namespace {

using ir::ExprId;
using ir::ExprKind;
using llvm::Value;

struct Epilogue {
  llvm::IRBuilderBase& b;
  const ir::ExprPool& pool;
  Value* sum;
  int lanes;
  const std::function<Value*(size_t)>& operand;
  std::unordered_map<ExprId, Value*> known = {};

  Value* visit(ExprId id) {
    if (const auto at = known.find(id); at != known.end()) return at->second;
    Value* result = make(id);
    known.emplace(id, result);
    return result;
  }

  Value* make(ExprId id) {
    const ir::ExprNode& n = pool.node(id);
    if (n.kind == ExprKind::constant) return splat(b, constant(b, n.type, n.bits), lanes);
    if (n.kind == ExprKind::read) return n.input == 0 ? sum : operand(n.input - 1);
    if (n.kind == ExprKind::cast)
      return emit_cast(b, pool.node(n.args[0]).type, n.type, visit(n.args[0]),
                       is_bounded(pool, n.args[0]));
    TESSERA_CHECK(n.kind == ExprKind::primitive, "an epilogue holds indices or reductions");
    Value* x = visit(n.args[0]);
    Value* y = n.args.size() > 1 ? visit(n.args[1]) : nullptr;
    const DType type = pool.node(n.args[0]).type;
    if (n.prim != ir::Prim::select) return emit_primitive(b, n.prim, type, x, y);
    if (type != DType::boolean) x = b.CreateICmpNE(x, llvm::Constant::getNullValue(x->getType()));
    return b.CreateSelect(x, y, visit(n.args[2]));
  }
};

}  // namespace

Value* emit_epilogue(llvm::IRBuilderBase& b, const ir::Meaning& meaning, Value* sum, int lanes,
                     const std::function<Value*(size_t)>& operand) {
  return Epilogue{b, *meaning.pool, sum, lanes, operand}.visit(meaning.outputs[0].body.id);
}

bool has_function(const ir::Meaning& meaning) {
  const ir::ExprPool& pool = *meaning.pool;
  std::vector<ExprId> open{meaning.outputs[0].body.id};
  while (!open.empty()) {
    const ir::ExprNode& n = pool.node(open.back());
    open.pop_back();
    if (n.kind == ExprKind::primitive && ops::is_transcendental(n.prim)) return true;
    open.insert(open.end(), n.args.begin(), n.args.end());
  }
  return false;
}

}  // namespace tessera::codegen
