// SPDX-License-Identifier: Apache-2.0
// The moves of a search: which rules and passes are in force, and where they apply.
#pragma once

#include <chrono>
#include <set>

#include "rules/matcher.h"
#include "search/optimize.h"

namespace tessera::search {

using Clock = std::chrono::steady_clock;

/// A graph on the way, and how it came about.
struct State {
  rules::WorkGraph graph;
  rules::Derivation derivation;
  double seconds = 0;
};

class Moves {
 public:
  Moves(const rules::RuleSet& rules, const OptimizeOptions& options);

  /// Applies rules that always help, starting from what changed, until nothing matches. Stops at
  /// the deadline.
  void saturate(State& state, std::vector<ir::NodeId> changed, Clock::time_point deadline) const;

  /// All moves that may help, in the order of passes and rules, then of nodes.
  std::vector<rules::Step> choices(const rules::WorkGraph& graph) const;

  /// Switches a rule on or off.
  void set_enabled(const std::string& rule, bool on);

  /// Takes one step and records it.
  bool take(State& state, const rules::Step& step) const;

 private:
  bool enabled(const std::string& name, const std::string& family, rules::Mode mode) const;
  bool apply_one(State& state, ir::NodeId node) const;

  const rules::RuleSet& rules_;
  const OptimizeOptions& options_;
  std::vector<bool> on_;  ///< by rule
  std::vector<const rules::Pass*> passes_;
};

/// Predicted cost of a WorkGraph.
cost::GraphCost cost_of(const rules::WorkGraph& graph, cost::CostModel& model);

}  // namespace tessera::search
