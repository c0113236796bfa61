// SPDX-License-Identifier: Apache-2.0
// Which conditions does a rule need? Random instances within its sample clauses and beyond them,
// each with the conditions that it violates and whether both sides agree.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/rng.h"
#include "rules/rule.h"
#include "synth/pattern.h"

namespace tessera::synth {

/// Sets of conditions: bit k is candidate k.
using ConditionSet = uint64_t;

class Evidence {
 public:
  /// Instances of `rule` (without its conditions), in both directions if it has two: `many` for
  /// each sample clause, some for each adverse one. Drawing stops where no candidate can help.
  Evidence(const LearnedRule& rule, std::span<const Condition> candidates, int many, uint64_t seed);

  /// Both sides differ although all candidates hold: no set of them is enough.
  bool refuted() const { return refuted_; }
  /// Sets that are enough on these instances, weakest first: the one that keeps most of the
  /// instances on which both sides agree, then the smallest. None of more than three conditions but
  /// the last, which comes from dropping one condition after the other. At most `most`.
  std::vector<ConditionSet> sufficient(size_t most) const;
  /// Instances of the rule's own clauses (not beyond them) that satisfy a set, in the direction
  /// that has fewest.
  int supporting(ConditionSet set) const;
  /// The clauses that have such an instance in every direction.
  std::vector<size_t> clauses(ConditionSet set) const;

 private:
  void draw(const rules::Rule& rule, int clause, bool wild, int wanted, int attempts, Rng& rng);
  void look_at(const rules::Rule& rule, const ir::Graph& left, int clause, bool wild, Rng& rng,
               int& matched);
  int kept(ConditionSet set) const;
  bool enough(ConditionSet set) const;

  struct Count {
    int agree = 0, differ = 0;
  };
  std::map<ConditionSet, Count> cases_;  ///< by the conditions that are violated
  /// Of own clauses: (direction, clause) and what is violated -> how many agree.
  std::map<std::pair<int, int>, std::map<ConditionSet, int>> own_;
  int direction_ = 0, directions_ = 1;
  size_t candidates_ = 0;
  bool refuted_ = false;
};

}  // namespace tessera::synth
