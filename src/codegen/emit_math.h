// SPDX-License-Identifier: Apache-2.0
// Transcendental functions as LLVM instructions.
#pragma once

#include "ir/scalar.h"

namespace llvm {
class IRBuilderBase;
class Value;
}  // namespace llvm

namespace tessera::codegen {

/// A module with this flag runs on processors that have AVX-512.
inline constexpr const char* avx512_flag = "tessera_avx512";

/// REQUIRES: v is float or double, or a vector of them. f32 functions that have a vector form are
/// within 4 ulp, most within 2; the others call the C library for each lane.
llvm::Value* emit_math(llvm::IRBuilderBase& b, ir::Prim prim, llvm::Value* x, llvm::Value* y);

}  // namespace tessera::codegen
