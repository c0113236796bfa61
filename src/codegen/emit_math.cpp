// SPDX-License-Identifier: Apache-2.0
// exp, log, tanh, … on floats.
#include "codegen/emit_math.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include "base/check.h"

namespace tessera::codegen {
namespace {

using ir::Prim;
using llvm::IRBuilderBase;
using llvm::Value;

// The C library's function, once per lane.
Value* call_library(IRBuilderBase& b, Prim prim, Value* x, Value* y) {
  llvm::Type* type = x->getType()->getScalarType();
  const std::string name = std::string(to_string(prim)) + (type->isFloatTy() ? "f" : "");
  llvm::Module* module = b.GetInsertBlock()->getModule();
  llvm::FunctionCallee callee =
      y ? module->getOrInsertFunction(name, type, type, type)
        : module->getOrInsertFunction(name, type, type);
  auto* function = llvm::cast<llvm::Function>(callee.getCallee());
  function->setDoesNotThrow();
  function->setDoesNotAccessMemory();
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(x->getType());
  if (!vector)
    return y ? b.CreateCall(callee, {x, y}) : b.CreateCall(callee, {x});
  Value* result = llvm::PoisonValue::get(vector);
  for (unsigned k = 0; k < vector->getNumElements(); ++k) {
    Value* lane = b.CreateExtractElement(x, k);
    Value* value = y ? b.CreateCall(callee, {lane, b.CreateExtractElement(y, k)})
                     : b.CreateCall(callee, {lane});
    result = b.CreateInsertElement(result, value, k);
  }
  return result;
}

}  // namespace

Value* emit_math(IRBuilderBase& b, Prim prim, Value* x, Value* y) {
  return call_library(b, prim, x, y);
}

}  // namespace tessera::codegen
