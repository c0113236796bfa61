// SPDX-License-Identifier: Apache-2.0
// The order in which the lines of chained convolutions are computed. Every result but the last
// lives in a window of lines that moves down the image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera::backend::cpu {

/// One convolution of a chain.
struct LineMember {
  /// A source that an earlier member makes: line k needs its lines from k · stride − before on,
  /// `span` of them, as far as they exist.
  struct Link {
    size_t from = 0;
    int64_t stride = 1, before = 0, span = 1;
  };
  int64_t lines = 0;       ///< of its result
  int64_t line_bytes = 0;  ///< of its result
  std::vector<Link> links;
};

/// Computes lines [first, end) of a member. Before that the window of its result, which begins at
/// line `window` then, may move: `kept` lines from line `from` of the window on come to its start.
struct LineStep {
  size_t member = 0;
  int64_t first = 0, end = 0;
  int64_t window = 0;
  int64_t from = 0, kept = 0;
};

struct LinePlan {
  std::vector<std::vector<LineStep>> bands;  ///< parts that know nothing of each other
  std::vector<int64_t> windows;              ///< lines of each member's window; 0 for the last
  int64_t bytes = 0;                         ///< of all windows of a band
  int64_t moved_bytes = 0;                   ///< that all bands move in their windows
  std::vector<int64_t> computed;             ///< lines of each member, by all bands
};

/// The last member's lines in `bands` parts, `block` lines of a part at a time; other members are
/// computed as far as that needs. REQUIRES: positive numbers of lines, bands and lines of a block;
/// each member but the last is linked to.
LinePlan plan_lines(const std::vector<LineMember>& members, int64_t bands, int64_t block);

}  // namespace tessera::backend::cpu
