// SPDX-License-Identifier: Apache-2.0
// Derivations that searches found, kept on disk beside the compiled kernels, so that the next start
// replays them instead of searching.
//
// The key is all that a search depends on: the graph, with small constants as they are and of large
// ones some samples, the texts of the rules and their certificates, the options, the processor and
// the program's build id. A replay is the checker's: every step has to match where it matched, its
// conditions are evaluated on the graph at hand, and what comes out has to be the graph that the
// search returned (by the same kind of hash). Otherwise there is a search. So an entry can save
// time, never decide what is computed.
#pragma once

#include <optional>
#include <string>

#include "api/options.h"
#include "base/disk_cache.h"
#include "ir/graph.h"
#include "rules/derivation.h"
#include "rules/work_graph.h"

namespace tessera::api {

class KnownRewrites {
 public:
  /// For searches of `graph` with rules of `folders`. Nothing is found or kept without
  /// options.cache_folder, nor by a program that has no build id.
  KnownRewrites(const ir::Graph& graph, const Options& options, double budget_seconds,
                const std::vector<std::string>& folders);

  /// The graph that the derivation kept for `graph` leads to.
  std::optional<ir::Graph> replay(const ir::Graph& graph, const rules::RuleSet& rules,
                                  const rules::WorkOptions& work);
  /// Keeps what a search found. REQUIRES: no limit of time ended it.
  void keep(const rules::Derivation& derivation, const ir::Graph& result);

 private:
  DiskCache cache_;
  Hash128 key_;
};

/// Operators, attributes, types and edges in the order of the nodes, without names; constants of
/// more than a few thousand bytes by samples.
Hash128 sampled_hash(const ir::Graph& graph);

}  // namespace tessera::api
