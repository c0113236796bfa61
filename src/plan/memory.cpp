// SPDX-License-Identifier: Apache-2.0
// Places blocks in the arena, the largest first.
#include "plan/memory.h"

#include <algorithm>
#include <numeric>

namespace tessera::plan {

size_t place(std::vector<Block>& blocks) {
  std::vector<size_t> by_size(blocks.size());
  std::iota(by_size.begin(), by_size.end(), 0);
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  size_t total = 0;
  std::vector<size_t> placed;  // by offset
  for (size_t number : by_size) {
    Block& block = blocks[number];
    const size_t bytes = (block.bytes + arena_alignment - 1) / arena_alignment * arena_alignment;
    size_t offset = 0;
    for (size_t other : placed) {
      const Block& o = blocks[other];
      if (o.last < block.first || o.first > block.last) continue;
      if (o.offset >= offset + bytes) break;
      const size_t end =
          o.offset + (o.bytes + arena_alignment - 1) / arena_alignment * arena_alignment;
      offset = std::max(offset, end);
    }
    block.offset = offset;
    total = std::max(total, offset + bytes);
    const auto at =
        std::upper_bound(placed.begin(), placed.end(), offset,
                         [&](size_t value, size_t other) { return value < blocks[other].offset; });
    placed.insert(at, number);
  }
  return total;
}

}  // namespace tessera::plan
