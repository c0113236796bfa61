// SPDX-License-Identifier: Apache-2.0
// Derivability: whether rules imply an equation within a few rewriting steps. Both sides are
// rewritten, breadth first, until they meet.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "synth/generalize.h"

namespace tessera::synth {

struct DeriveLimits {
  int left_steps = 3, right_steps = 2;  ///< rewrites from each side
  size_t terms = 500;                   ///< reached from each side
};

class RuleBase {
 public:
  explicit RuleBase(TermPool& pool) : pool_(pool) {}
  /// REQUIRES: `rule` outlives this.
  void add(const LearnedRule& rule);
  void remove(const LearnedRule& rule);
  void clear() { by_root_.clear(); }
  bool derives(const Equation& equation, const DeriveLimits& limits);

 private:
  struct Direction {
    const PatternNode* from = nullptr;
    const PatternNode* to = nullptr;
    const LearnedRule* rule = nullptr;
  };
  /// All terms that one rewrite makes of a term, anywhere inside it.
  std::vector<TermId> rewrites(TermId term);
  void rewrites_of_root(TermId term, std::vector<TermId>& results);
  bool reach(std::set<TermId>& reached, std::vector<TermId>& frontier, size_t limit);

  TermPool& pool_;
  std::map<std::string, std::vector<Direction>> by_root_;
};

}  // namespace tessera::synth
