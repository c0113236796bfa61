// SPDX-License-Identifier: Apache-2.0
// Products and convolutions of numbers of 16 bits, two products an instruction and lane: bf16
// (AVX512_BF16) and integers (AVX512_VNNI). Constant weights are rounded when they are packed, the
// first operand is rounded into scratch memory before the tiles run; sums pass through the same
// epilogues as those of f32. amx_kernel.cpp is the form for AMX.
//
// Integers have the length of each row and column as their unit, such that no sum can overflow 32
// bits; sums of some 100 products are then added up in f32. They are some 15 times more exact than
// bf16, whose numbers have eight bits.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "amx/kernel.h"
#include "backend/cpu/contraction_form.h"
#include "backend/cpu/contraction_kernels.h"

namespace tessera::backend::cpu {

/// What a kernel needs of the object that makes it.
struct KernelShop {
  codegen::VectorUnit unit;
  std::shared_ptr<codegen::Jit> jit;  ///< owns the code
  std::function<Code(const std::string& key, codegen::EmittedKernel)> compile;
  /// Makes the kernel in f32 that takes over when an operand is not finite; called when that
  /// happens first, perhaps after the shop is gone.
  std::function<std::shared_ptr<const runtime::Kernel>()> direct;
};

/// The request with views of f32 in the place of those of bf16.
codegen::LibraryRequest unrounded(codegen::LibraryRequest request);
/// Whether the first source lies as rows that are rounded when a kernel runs: dense, without gaps.
bool lies_rounded(const codegen::LibraryRequest& request);

/// Null when the processor has no such products, or the request is no `matmul` or `conv` of
/// constant weights, at least half a vector of columns, and more than a few channels.
std::shared_ptr<const runtime::Kernel> make_pairs(const codegen::LibraryRequest& request,
                                                  const KernelShop& shop);

/// The same of bf16 numbers on the tile registers of AMX. The first operand is rounded into scratch
/// memory, as images with borders of zeros where a convolution looks beyond them. Null also where
/// the system keeps the tiles from this process, and for less than some rows and columns. A
/// `machine` takes the place of the processor's tiles.
std::shared_ptr<const runtime::Kernel> make_amx(const codegen::LibraryRequest& request,
                                                const KernelShop& shop,
                                                const amx::Machine* machine = nullptr);

}  // namespace tessera::backend::cpu
