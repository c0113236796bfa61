// SPDX-License-Identifier: Apache-2.0
// Meanings compiled to native loops whose rows are shared among threads.
#pragma once

#include <memory>
#include <vector>

#include "ir/meaning.h"
#include "runtime/kernel.h"

namespace tessera::backend::cpu {

/// One kernel per meaning; equal meanings are compiled once.
std::vector<std::shared_ptr<const runtime::Kernel>> make_loop_kernels(
    std::vector<ir::Meaning> meanings);

}  // namespace tessera::backend::cpu
