// SPDX-License-Identifier: Apache-2.0
// Chains of convolutions, a few lines of the image at a time (line_plan.h): what a depthwise
// convolution and its neighbours of 1×1 exchange stays in the second-level cache.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backend/cpu/contraction_kernels.h"

namespace tessera::backend::cpu {

/// What the kernel needs of the object that makes it.
struct LineShop {
  codegen::VectorUnit unit;
  std::shared_ptr<codegen::Jit> jit;  ///< owns the code
  std::function<Code(const std::string& key, codegen::EmittedKernel)> compile;
  Packings& packings;
};

/// Whether a convolution can be a member of a chain: images of two axes, channels last, constant
/// weights, no algorithm that computes lines together, and tiles inside of lines.
bool fits_lines(const codegen::LibraryRequest& request, codegen::VectorUnit unit);

/// See Target::gain_of_lines().
double gain_of_lines(const codegen::LineRequest& request, codegen::VectorUnit unit);

/// The kernel of a chain, or null (see Target::make_lines()). REQUIRES: members that fit.
std::shared_ptr<const runtime::Kernel> make_line_kernel(const codegen::LineRequest& request,
                                                        const LineShop& shop);

}  // namespace tessera::backend::cpu
