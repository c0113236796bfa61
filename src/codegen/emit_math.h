// SPDX-License-Identifier: Apache-2.0
// Transcendental functions as LLVM instructions.
#pragma once

#include "ir/scalar.h"

namespace llvm {
class IRBuilderBase;
class Value;
}  // namespace llvm

namespace tessera::codegen {

/// REQUIRES: v is float or double, or a vector of them. f32 functions that have a vector form are
/// within 4 ulp; the others call the C library for each lane.
llvm::Value* emit_math(llvm::IRBuilderBase& b, ir::Prim prim, llvm::Value* x, llvm::Value* y);

}  // namespace tessera::codegen
