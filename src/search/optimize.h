// SPDX-License-Identifier: Apache-2.0
// Finds a cheaper graph that computes the same function.
//
// Rules that always help are applied until none matches. Rules that help only sometimes (`when
// cheaper`) are tried one match at a time and kept when the predicted cost falls; the remaining
// budget goes to a best-first search over whole graphs, which may pass through dearer ones. The
// same input, rules and options give the same result unless the time budget ends the search.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "cost/cost.h"
#include "rules/derivation.h"

namespace tessera::search {

enum class StopReason : uint8_t {
  saturated,       ///< nothing is left to try
  node_limit,      ///< max_graphs were looked at
  time_limit,      ///< the budget ended
  no_improvement,  ///< the result costs no less than the input, which is returned
};
std::string_view to_string(StopReason reason);

struct OptimizeOptions {
  double budget_seconds = 20;
  std::set<std::string> disabled;  ///< names of rules and passes, or of families
  std::set<std::string> asked;     ///< rules `when asked` to try all the same
  int threads = 1;
  rules::Mode mode = rules::Mode::real;  ///< exact: only rewrites that keep every bit
  double uphill = 1.05;  ///< graphs up to this factor dearer than the best are explored further
  int max_graphs = 256;  ///< of the best-first search
  const cost::Machine* machine = nullptr;  ///< null: this machine, measured
  std::function<void(const std::string&)> progress;
};

struct OptimizeResult {
  ir::Graph graph;
  rules::Derivation derivation;
  std::map<std::string, int> rules_used;
  double cost_before = 0, cost_after = 0;  ///< predicted seconds
  cost::GraphCost before, after;
  StopReason stop = StopReason::saturated;
  int graphs_seen = 0;
  double seconds = 0;
};

OptimizeResult optimize(const ir::Graph& graph, const rules::RuleSet& rules,
                        const OptimizeOptions& options = {});

/// The WorkGraph options that a search with these options uses (for rules::replay).
rules::WorkOptions work_options(const OptimizeOptions& options);

}  // namespace tessera::search
