// SPDX-License-Identifier: Apache-2.0
// Memory for packed weights.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace tessera::backend::cpu {

struct FreeMemory {
  void operator()(float* p) const { std::free(p); }
};
using AlignedBuffer = std::unique_ptr<float, FreeMemory>;

/// `count` floats on a boundary of 64 bytes, uninitialized.
inline AlignedBuffer allocate_aligned(int64_t count) {
  constexpr size_t alignment = 64;
  const size_t bytes = (static_cast<size_t>(count) * sizeof(float) / alignment + 1) * alignment;
  auto* p = static_cast<float*>(std::aligned_alloc(alignment, bytes));
  if (!p) throw std::bad_alloc();
  return AlignedBuffer(p);
}

}  // namespace tessera::backend::cpu
