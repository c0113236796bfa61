// SPDX-License-Identifier: Apache-2.0
// Meanings compiled to native loops whose rows are shared among threads.
#pragma once

#include <memory>
#include <vector>

#include "base/disk_cache.h"
#include "ir/meaning.h"
#include "runtime/kernel.h"

namespace tessera::backend::cpu {

/// One kernel per meaning; equal meanings are compiled once. `cache` keeps code; it may be null.
std::vector<std::shared_ptr<const runtime::Kernel>> make_loop_kernels(
    std::vector<ir::Meaning> meanings, std::shared_ptr<DiskCache> cache);

}  // namespace tessera::backend::cpu
