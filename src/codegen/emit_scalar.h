// SPDX-License-Identifier: Apache-2.0
// The scalar primitives as LLVM instructions, alike for one value and for a vector of lanes.
// Registers hold f16 and bf16 as float and bool as i1; integers have their own width.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "ir/meaning.h"

namespace llvm {
class IRBuilderBase;
class Type;
class Value;
}  // namespace llvm

namespace tessera::codegen {

/// Register type of one lane / of `like`'s lanes.
llvm::Type* register_type(llvm::IRBuilderBase& b, DType type, int lanes);
/// Type of an element in memory.
llvm::Type* memory_type(llvm::IRBuilderBase& b, DType type);
/// Between memory and registers; vectors stay vectors.
llvm::Value* from_memory(llvm::IRBuilderBase& b, DType type, llvm::Value* v);
llvm::Value* to_memory(llvm::IRBuilderBase& b, DType type, llvm::Value* v);

/// A constant register: the integer, or the double's bits (ExprNode::bits).
llvm::Value* constant(llvm::IRBuilderBase& b, DType type, int64_t bits);
llvm::Value* splat(llvm::IRBuilderBase& b, llvm::Value* v, int lanes);

/// REQUIRES: prim is not select; both operands have `type` and equal lanes. `is_natural`: integer
/// operands are known not to be negative (and the second not zero).
llvm::Value* emit_primitive(llvm::IRBuilderBase& b, ir::Prim prim, DType type, llvm::Value* x,
                            llvm::Value* y, bool is_natural = false);
/// `is_bounded`: a float that becomes an integer is NaN or within the range of i32.
llvm::Value* emit_cast(llvm::IRBuilderBase& b, DType from, DType to, llvm::Value* v,
                       bool is_bounded = false);
/// Whether minima and maxima with constants keep a float (NaN apart) within the range of i32.
bool is_bounded(const ir::ExprPool& pool, ir::ExprId id);
/// One step of a reduction. Of the two operands the total is ready last.
llvm::Value* emit_combine(llvm::IRBuilderBase& b, ir::Prim prim, DType type, llvm::Value* x,
                          llvm::Value* total);
/// The combination of all lanes of `v`.
llvm::Value* emit_horizontal(llvm::IRBuilderBase& b, ir::Prim prim, DType type, llvm::Value* v);

/// Rows and columns of a square of lanes exchanged. REQUIRES: as many vectors as lanes, a power
/// of 2.
std::vector<llvm::Value*> emit_transposed(llvm::IRBuilderBase& b, std::vector<llvm::Value*> rows);

/// The value of the meaning's only output for a vector of sums (its input 0); `operand(k)` is the
/// vector of its input k + 1. REQUIRES: no reductions and no variables in the body.
llvm::Value* emit_epilogue(llvm::IRBuilderBase& b, const ir::Meaning& meaning, llvm::Value* sum,
                           int lanes, const std::function<llvm::Value*(size_t)>& operand);
/// Whether it computes functions that take many instructions, such as exp.
bool has_function(const ir::Meaning& meaning);

/// A C function that emitted code calls by name, and where it is.
struct ExternalFunction {
  const char* name;
  const void* address;
};
std::span<const ExternalFunction> external_functions();

}  // namespace tessera::codegen
