// SPDX-License-Identifier: Apache-2.0
// Evaluates and fingerprints the last level.
#include "synth/enumerate.h"

#include <algorithm>

#include "base/check.h"

namespace tessera::synth {
namespace {

// 8 bits of template, 2 of output, 27 of each operand.
constexpr int value_bits = 27, output_bits = 2;
constexpr uint64_t absent = (uint64_t{1} << value_bits) - 1;

}  // namespace

uint64_t Recipe::pack() const {
  const uint64_t second = b == none ? absent : b;
  return (((static_cast<uint64_t>(tmpl) << output_bits | output) << value_bits | a) << value_bits) |
         second;
}

Recipe Recipe::unpack(uint64_t bits) {
  Recipe r;
  const uint64_t second = bits & absent;
  r.b = second == absent ? none : static_cast<ValueId>(second);
  r.a = static_cast<ValueId>(bits >> value_bits & absent);
  r.output = static_cast<uint8_t>(bits >> (2 * value_bits) & ((1u << output_bits) - 1));
  r.tmpl = static_cast<uint16_t>(bits >> (2 * value_bits + output_bits));
  return r;
}

Shard enumerate_shard(const Bank& bank, int operators, int shard, int shards) {
  TESSERA_CHECK(operators == bank.levels(), "{} operators over {} levels", operators,
                bank.levels());
  TESSERA_USER_CHECK(bank.values().size() < absent, "{} values do not fit a recipe",
                     bank.values().size());
  Shard result;
  Scratch scratch;
  std::vector<uint64_t> out(static_cast<size_t>(lanes * bank.vocabulary().max_elements));
  const auto end = static_cast<ValueId>(bank.values().size());
  for (auto u = static_cast<ValueId>(shard); u < end; u += static_cast<ValueId>(shards))
    bank.for_each_application(operators, u, [&](const Application& a) {
      if (!bank.uses_first_inputs(bank.inputs_of(a))) return;
      ++result.applications;
      for (size_t k = 0; k < a.compiled->salts.size(); ++k) {
        bank.evaluate(a, k, out.data(), scratch);
        const Recipe recipe{a.tmpl, a.a, a.b, static_cast<uint8_t>(k)};
        const uint64_t print =
            bank.fingerprint(out.data(), a.compiled->sizes[k], a.compiled->salts[k]);
        result.records.push_back({print, recipe.pack()});
      }
    });
  std::sort(result.records.begin(), result.records.end());
  return result;
}

std::vector<uint64_t> count_graphs(const Bank& bank) {
  std::vector<uint64_t> counts;
  for (int level = 0; level < bank.levels(); ++level) {
    uint64_t count = 0;
    for (ValueId v = bank.level_begin(level); v < bank.level_end(level); ++v)
      count += bank.uses_first_inputs(bank.values()[v].inputs);
    counts.push_back(count);
  }
  return counts;
}

}  // namespace tessera::synth
