// SPDX-License-Identifier: Apache-2.0
// Products and convolutions of bf16 numbers on the tile registers of AMX. Constant weights are
// rounded when they are packed; the first operand is rounded into scratch memory, as images with
// borders of zeros where a convolution looks beyond them.
#pragma once

#include "amx/kernel.h"
#include "backend/cpu/pair_kernel.h"

namespace tessera::backend::cpu {

/// Null when the processor has no such tiles or the system keeps them from this process, and when
/// the request is no `matmul` or `conv` of constant weights with several rows and columns. A
/// `machine` takes the place of the processor's tiles.
std::shared_ptr<const runtime::Kernel> make_amx(const codegen::LibraryRequest& request,
                                                const KernelShop& shop,
                                                const amx::Machine* machine = nullptr);

}  // namespace tessera::backend::cpu
