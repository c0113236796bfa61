// SPDX-License-Identifier: Apache-2.0
// The symbolic instances of a rule: its left side for every choice of ranks, broadcasts, attributes
// and element types that its patterns and sample clauses leave open, with sizes as symbols; what
// the left side requires and the rule's conditions are solved or become hypotheses.
#pragma once

#include <optional>

#include "prove/problem.h"

namespace tessera::prove {

struct Instance {
  Problem problem;
  std::string bound;  ///< what is fixed and should not be; empty if nothing
};

class Instances {
 public:
  Instances(const rules::Rule& rule, int most) : rule_(rule), most_(most) {}
  /// The next instance that is one; nothing at the end. Throws UserError where a right side cannot
  /// be built although the left side matches.
  std::optional<Instance> next();
  bool cut_off() const { return cut_off_; }
  /// How sizes of the sample clause are read: each place for any size, whatever it is called ·
  /// equal names for equal sizes · equal numbers for all elements of a list · as those numbers.
  /// Units and zeros stand for themselves.
  enum Level : int { free_sizes, named_sizes, shared_sizes, sample_sizes };
  /// The instance that next() gave, at a less general level; nothing if there is none.
  std::optional<Instance> weaker(int level) const;

 private:
  const rules::Rule& rule_;
  int most_, made_ = 0, level_ = free_sizes;
  std::set<int> fitted_, earlier_;  ///< sample clauses that had an instance, at earlier levels
  bool cut_off_ = false, ended_ = false;
  std::vector<std::pair<int, int>> choices_, current_;  ///< taken, of how many
};

}  // namespace tessera::prove
