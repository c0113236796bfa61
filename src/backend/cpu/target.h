// SPDX-License-Identifier: Apache-2.0
// The CPU as a target: generated loops, generated products, and oneDNN for convolutions and
// products.
#pragma once

#include <memory>

#include "base/disk_cache.h"
#include "codegen/target.h"

namespace tessera::backend::cpu {

/// Who may compute products and convolutions (what neither does becomes loops), and where compiled
/// code is kept.
struct TargetOptions {
  std::shared_ptr<DiskCache> cache;  ///< for compiled code; or null
  bool use_library = true;           ///< oneDNN
  bool use_generated = true;         ///< kernels of our own
};

std::unique_ptr<codegen::Target> make_target(TargetOptions options = {});

}  // namespace tessera::backend::cpu
