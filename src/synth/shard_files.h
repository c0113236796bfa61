// SPDX-License-Identifier: Apache-2.0
// Shards of an enumeration on disk, so that it survives interruption, runs on many machines and
// needs memory for one shard at a time only.
//
// A file `shard-K-of-N.bin` is a header (what was enumerated, and how many records) and the records
// in ascending order. It appears under its name when complete; an existing one that fits is not
// computed again.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "synth/enumerate.h"

namespace tessera::synth {

struct ShardOptions {
  std::string folder;
  int shards = 64;
  int only = -1;  ///< one shard; −1: all
  int threads = 2;
  /// Called after each shard with how many are done, and the graphs in them.
  std::function<void(int done, int total, uint64_t graphs)> progress = {};
};

struct ShardTotals {
  uint64_t graphs = 0;        ///< records
  uint64_t applications = 0;  ///< operators evaluated for them
  int reused = 0;             ///< shards that were there
};

/// Computes the shards of the last level that are missing.
ShardTotals write_shards(const Bank& bank, int operators, const ShardOptions& options);

/// Graphs that compute the same, by fingerprint.
struct MergeTotals {
  uint64_t graphs = 0;
  uint64_t distinct = 0;  ///< fingerprints
  uint64_t pairs = 0;     ///< (smallest graph, another one) of one fingerprint
};

/// Recipes of the bank's own values have this template.
inline constexpr uint16_t bank_template = 255;

/// Reads all shards and the bank's values, one range of fingerprints at a time, and calls `group`
/// for every fingerprint with two graphs or more, the bank's values first. Throws UserError naming
/// a shard that is missing.
MergeTotals merge_shards(const Bank& bank, int operators, const ShardOptions& options,
                         const std::function<void(std::span<const Record>)>& group);

}  // namespace tessera::synth
