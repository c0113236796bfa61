// SPDX-License-Identifier: Apache-2.0
// The last word on a learned rule: instances that leave its sample clauses (empty axes, other
// ranks, parameters and element types), then the prover.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "rules/rule_set.h"
#include "synth/pattern.h"

namespace tessera::synth {

struct Judgement {
  enum class By : uint8_t { nobody, instances, prover };
  By refuted = By::nobody;
  bool backward = false;           ///< it is the direction from right to left that is refuted
  std::string counterexample;      ///< of a refuted rule
  rules::Certificate certificate;  ///< of any other; its name is left open
};

struct JudgeOptions {
  int instances = 200;  ///< that satisfy the conditions, drawn beyond the sample clauses
  int processes = 1;    ///< at a time; the judgements do not depend on it
  std::function<void(size_t done, size_t count)> progress = {};
};

/// Judges every rule, both directions where it has two, in a process of its own. What makes that
/// process die is no refutation: the rule stays tested.
std::vector<Judgement> judge(std::span<const LearnedRule* const> rules,
                             const JudgeOptions& options);

}  // namespace tessera::synth
