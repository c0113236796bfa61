// SPDX-License-Identifier: Apache-2.0
// Memory for packed weights.
#pragma once

#include <cstdint>
#include <memory>

namespace tessera::runtime {

/// Lets go of the memory that a buffer shares with others.
struct ReleaseMemory {
  std::shared_ptr<const void> owner;
  void operator()(float*) { owner.reset(); }
};
using AlignedBuffer = std::unique_ptr<float, ReleaseMemory>;

/// `count` floats on a boundary of 64 bytes, their values unspecified. Buffers that are made one
/// after the other lie side by side in huge pages, where the system has them: making the memory
/// then costs little, and streams of weights miss fewer translations. It is given back when the
/// last buffer of a block is. Thread-safe.
AlignedBuffer allocate_aligned(int64_t count);

}  // namespace tessera::runtime
