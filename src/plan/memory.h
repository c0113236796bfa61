// SPDX-License-Identifier: Apache-2.0
// Places blocks of memory with known lifetimes into one arena.
#pragma once

#include <cstddef>
#include <vector>

namespace tessera::plan {

/// A block that is in use from step `first` to step `last`, both included.
struct Block {
  size_t bytes = 0;
  size_t first = 0, last = 0;
  size_t offset = 0;  ///< the result, a multiple of arena_alignment
};

inline constexpr size_t arena_alignment = 64;  // a cache line, and an AVX-512 register

/// Sets the offsets so that blocks in use at the same time do not overlap; returns the size of the
/// arena. Largest blocks first, each at the lowest place that is free for its whole life.
size_t place(std::vector<Block>& blocks);

}  // namespace tessera::plan
