// SPDX-License-Identifier: Apache-2.0
// The CPU as a target: generated loops, and oneDNN for convolutions and matrix products.
#pragma once

#include <memory>

#include "base/disk_cache.h"
#include "codegen/target.h"

namespace tessera::backend::cpu {

struct TargetOptions {
  std::shared_ptr<DiskCache> cache;  ///< for compiled code; or null
};

std::unique_ptr<codegen::Target> make_target(TargetOptions options = {});

}  // namespace tessera::backend::cpu
