// SPDX-License-Identifier: Apache-2.0
// Writes one contraction as LLVM functions: a function for each class of tile, and one that walks a
// range of tasks.
#pragma once

#include <string>

#include "codegen/contraction.h"
#include "codegen/loop_kernel.h"

namespace tessera::codegen {

/// The kernel of a contraction that is not empty: its rows are the tasks of cut_tiles(); its
/// sources are a, b (packed or not) and the operands of the epilogue, its destination is dst.
EmittedKernel contraction_kernel(const Contraction& c, const ContractionSchedule& s);

}  // namespace tessera::codegen
