// SPDX-License-Identifier: Apache-2.0
// The whole of synthesis: enumerate, group, prune stage by stage, generalize, test, drop what is
// derivable, and write what remains as a rule file.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "synth/derive.h"
#include "synth/settle.h"
#include "synth/shard_files.h"

namespace tessera::synth {

struct SynthesizeOptions {
  std::string vocabulary;
  int operators = 3;
  Growth growth = Growth::representatives;
  uint64_t seed = 1;
  ShardOptions shards;
  bool learn = true;  ///< false: stop after counting
  /// Generalize and test every equation before derivability is decided, to count the rules; else
  /// only those that the rules kept so far do not derive, which is several times faster.
  bool test_all = false;
  /// Also rules that stand all instances but are not proved for all shapes; else they are left out.
  bool keep_unproved = false;
  SettleOptions settle;  ///< how equations become rules; `proved_only` follows from the above
  int processes = 1;     ///< that do so at a time; the result does not depend on it
  /// File where decisions are noted, so that a run that was stopped goes on; empty: none.
  std::string notes;
  DeriveLimits limits;
  std::function<void(const std::string&)> say = {};       ///< a line of the report
  std::function<void(const std::string&)> progress = {};  ///< what is being done now
};

/// How many equations were left after a stage.
struct StageCount {
  std::string stage;
  size_t count = 0;
};

struct Synthesis {
  std::vector<uint64_t> graphs;  ///< by number of operators
  uint64_t pairs = 0;
  std::vector<StageCount> stages;
  std::vector<LearnedRule> kept;
  std::vector<rules::Certificate> certificates;  ///< of the kept
  size_t tested = 0;                             ///< rules that passed
};

/// Deterministic: the result depends on the options but not on threads, processes or shards. Rules
/// that `known` ones derive are not kept, and none that was refuted or (by default) not proved.
Synthesis synthesize(const SynthesizeOptions& options, std::span<const LearnedRule> known = {});

/// The text of a rule file, without certificates.
std::string rule_file(const SynthesizeOptions& options, const Synthesis& synthesis);

}  // namespace tessera::synth
