// SPDX-License-Identifier: Apache-2.0
// Blocks in the arena.
#include "plan/memory.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace tessera::plan {
namespace {

TEST(Memory, blocks_that_live_together_do_not_overlap) {
  Rng rng(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<Block> blocks(static_cast<size_t>(rng.integer(1, 40)));
    for (Block& b : blocks) {
      b.bytes = static_cast<size_t>(rng.integer(0, 5000));
      b.first = static_cast<size_t>(rng.integer(0, 20));
      b.last = b.first + static_cast<size_t>(rng.integer(0, 6));
    }
    const size_t total = place(blocks);
    for (size_t i = 0; i < blocks.size(); ++i) {
      const Block& a = blocks[i];
      EXPECT_EQ(a.offset % arena_alignment, 0u);
      EXPECT_LE(a.offset + a.bytes, total);
      for (size_t k = 0; k < i; ++k) {
        const Block& b = blocks[k];
        const bool together = a.first <= b.last && b.first <= a.last;
        const bool apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
        EXPECT_TRUE(!together || apart) << "round " << round << ": " << i << " and " << k;
      }
    }
  }
}

TEST(Memory, blocks_that_follow_each_other_share) {
  std::vector<Block> blocks(3);
  for (size_t k = 0; k < blocks.size(); ++k) {
    blocks[k].bytes = 1000;
    blocks[k].first = blocks[k].last = k;
  }
  EXPECT_EQ(place(blocks), (1000 + arena_alignment - 1) / arena_alignment * arena_alignment);
}

}  // namespace
}  // namespace tessera::plan
