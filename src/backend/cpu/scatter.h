// SPDX-License-Identifier: Apache-2.0
// Scatters in time proportional to their updates; by their meanings, which ask of every element
// whether an update names it, they take elements times updates.
#pragma once

#include <memory>

#include "codegen/target.h"

namespace tessera::backend::cpu {

/// `scatter_elements` or `scatter_nd` on row-major memory; null for element types whose combination
/// it does not know. Updates apply in order, so of several without a reduction the last counts; an
/// index outside throws UserError when the kernel runs.
std::shared_ptr<const runtime::Kernel> make_scatter(const codegen::LibraryRequest& request);

}  // namespace tessera::backend::cpu
