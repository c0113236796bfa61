// SPDX-License-Identifier: Apache-2.0
// Cumulative sums and products in one pass; by their meanings every element is a reduction of all
// before it.
#pragma once

#include <memory>

#include "codegen/target.h"

namespace tessera::backend::cpu {

/// `cum_sum` or `cum_prod` on row-major memory; null for element types that it does not know. f32
/// accumulates in f64.
std::shared_ptr<const runtime::Kernel> make_cumulative(const codegen::LibraryRequest& request);

}  // namespace tessera::backend::cpu
