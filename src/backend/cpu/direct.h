// SPDX-License-Identifier: Apache-2.0
// Kernels of our own that take time in proportion to the elements, where the loops of a meaning
// take longer: concatenation by copying rows; scatters in time proportional to their updates (a
// meaning asks of every element whether an update names it); cumulative sums and products in one
// pass (a meaning makes every element a reduction of all before it).
#pragma once

#include <memory>

#include "codegen/target.h"

namespace tessera::backend::cpu {

/// REQUIRES: parts and destination are dense, with their axes in one order.
std::shared_ptr<const runtime::Kernel> make_concat(const codegen::LibraryRequest& request);

/// `scatter_elements` or `scatter_nd` on row-major memory; null for element types whose combination
/// it does not know. Updates apply in order, so of several without a reduction the last counts; an
/// index outside throws UserError when the kernel runs.
std::shared_ptr<const runtime::Kernel> make_scatter(const codegen::LibraryRequest& request);

/// `cum_sum` or `cum_prod` on row-major memory; null for element types that it does not know. f32
/// accumulates in f64.
std::shared_ptr<const runtime::Kernel> make_cumulative(const codegen::LibraryRequest& request);

}  // namespace tessera::backend::cpu
