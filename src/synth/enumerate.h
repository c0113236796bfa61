// SPDX-License-Identifier: Apache-2.0
// The last level of an enumeration: graphs of as many operators as asked for are evaluated but not
// kept; of each there remain a fingerprint and the recipe that makes it again, 16 bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "synth/bank.h"

namespace tessera::synth {

struct Record {
  uint64_t fingerprint = 0;
  uint64_t recipe = 0;
  auto operator<=>(const Record&) const = default;
};

/// One result of one application, in 64 bits.
struct Recipe {
  uint16_t tmpl = 0;
  ValueId a = none, b = none;
  uint8_t output = 0;

  uint64_t pack() const;
  static Recipe unpack(uint64_t bits);
};

struct Shard {
  std::vector<Record> records;  ///< ascending
  uint64_t applications = 0;    ///< evaluated
};

/// The graphs of `operators` operators that use the first inputs of every class and whose larger
/// operand's number is `shard` modulo `shards`. REQUIRES: operators == bank.levels(). The result
/// depends on nothing else: not on threads, not on what other shards do.
Shard enumerate_shard(const Bank& bank, int operators, int shard, int shards);

/// Graphs of each number of operators that the bank holds (index 0: inputs); of those that use the
/// first inputs.
std::vector<uint64_t> count_graphs(const Bank& bank);

}  // namespace tessera::synth
