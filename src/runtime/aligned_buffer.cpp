// SPDX-License-Identifier: Apache-2.0
// Blocks of memory that are handed out from front to back.
#include "runtime/aligned_buffer.h"

#include <algorithm>
#include <mutex>

#include "types/tensor.h"

namespace tessera::runtime {
namespace {

constexpr int64_t alignment = 16;                   // floats
constexpr int64_t block_floats = int64_t{8} << 20;  // 32 MiB; what is not touched takes no memory

// A tensor of this size lies in huge pages.
struct Block {
  explicit Block(int64_t count) : memory(DType::f32, {count}) {}
  Tensor memory;
  int64_t used = 0;
};

// The block that is being handed out; it belongs to its buffers, so that the memory of a model goes
// with the model.
struct Current {
  std::mutex mutex;
  std::weak_ptr<Block> block;
};

Current& current() {
  static Current instance;
  return instance;
}

}  // namespace

AlignedBuffer allocate_aligned(int64_t count) {
  const int64_t rounded = (std::max<int64_t>(count, 1) + alignment - 1) / alignment * alignment;
  Current& c = current();
  const std::lock_guard lock(c.mutex);
  std::shared_ptr<Block> block = c.block.lock();
  if (!block || block->memory.size() - block->used < rounded) {
    block = std::make_shared<Block>(std::max(rounded, block_floats));
    c.block = block;
  }
  float* const start = block->memory.mutable_as<float>() + block->used;
  block->used += rounded;
  return {start, ReleaseMemory{std::move(block)}};
}

}  // namespace tessera::runtime
