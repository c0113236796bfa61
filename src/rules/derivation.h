// SPDX-License-Identifier: Apache-2.0
// How a graph was rewritten, step by step, so that it can be replayed and checked.
#pragma once

#include <string>
#include <vector>

#include "base/hash.h"
#include "rules/rule_set.h"

namespace tessera::rules {

/// One application of a rule or pass. `root` and `ordinal` name the place in the WorkGraph that the
/// steps before lead to; `nodes` are for people.
struct Step {
  std::string rule;
  ir::NodeId root = 0;
  int ordinal = 0;
  std::string nodes;  ///< names of what was replaced
};
using Derivation = std::vector<Step>;

/// Takes one step. False if the rule does not apply there.
bool take_step(WorkGraph& graph, const RuleSet& rules, const Step& step);

/// The graph that a derivation leads to. Throws UserError naming the first step that does not
/// apply, or whose rule is unknown. `options` must be those of the search.
ir::Graph replay(const ir::Graph& graph, const Derivation& derivation, const RuleSet& rules,
                 const WorkOptions& options = {});

/// One step per line: "rule root ordinal nodes".
std::string to_text(const Derivation& derivation);
Derivation derivation_from_text(std::string_view text);

}  // namespace tessera::rules
