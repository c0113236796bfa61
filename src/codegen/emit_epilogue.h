// SPDX-License-Identifier: Apache-2.0
// What is done to finished sums before they are stored.
#pragma once

#include <functional>

#include "ir/meaning.h"

namespace llvm {
class IRBuilderBase;
class Value;
}  // namespace llvm

namespace tessera::codegen {

/// The value of the meaning's only output for a vector of sums (its input 0); `operand(k)` is the
/// vector of its input k + 1. REQUIRES: no reductions and no variables in the body.
llvm::Value* emit_epilogue(llvm::IRBuilderBase& b, const ir::Meaning& meaning, llvm::Value* sum,
                           int lanes, const std::function<llvm::Value*(size_t)>& operand);

/// Whether it computes functions that take many instructions, such as exp.
bool has_function(const ir::Meaning& meaning);

}  // namespace tessera::codegen
