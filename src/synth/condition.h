// SPDX-License-Identifier: Apache-2.0
// Conditions of rules while they are being learned: what could be asked of ranks, shapes, extents
// and parameters.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "synth/term.h"

namespace tessera::synth {

struct LearnedRule;
struct Match;

struct Condition {
  std::string text;  ///< in the rule language
  /// Under a match of terms; true where what it speaks of is not bound.
  std::function<bool(const TermPool&, const Match&)> holds = {};
  int parameter = -1;  ///< that it fixes to its value in the instance, if it does only that
};

/// What holds in the instance that the rule was learned from and could be needed, the most natural
/// first: equal shapes, ranks, extents along a parameter's axis, values of parameters. At most 60.
/// `shapes`: pairs of variables (≥ 0) or node names (−1 − name) whose shapes are equal there.
std::vector<Condition> candidate_conditions(const LearnedRule& rule,
                                            const std::vector<std::pair<int, int>>& shapes);

}  // namespace tessera::synth
