// SPDX-License-Identifier: Apache-2.0
// Concatenation by copying rows.
#pragma once

#include <memory>

#include "codegen/target.h"

namespace tessera::backend::cpu {

/// REQUIRES: parts and destination are dense, with their axes in one order.
std::shared_ptr<const runtime::Kernel> make_concat(const codegen::LibraryRequest& request);

}  // namespace tessera::backend::cpu
