// SPDX-License-Identifier: Apache-2.0
// From an equation of two graphs of known shapes to a rule for all shapes: parameters become
// variables, what the shapes have in common becomes conditions, and the most general form that
// survives random testing is kept.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "synth/pattern.h"

namespace tessera::synth {

struct Equation {
  TermId left = 0, right = 0;
};

/// Tries forms from general to special; each is parsed by the rule language and tested on random
/// instances (rules::check_rule). What was tested once is not tested again, and a statement that
/// passed for one equation passes for others.
class Generalizer {
 public:
  /// `instances`: how many each rule is tested on; a tenth where tensors have rank 4 or more.
  explicit Generalizer(TermPool& pool, int instances = 200) : pool_(pool), instances_(instances) {}

  /// Nothing if no form passes: the equation is an accident of its shapes, or has no spelling.
  std::optional<LearnedRule> one(const Equation& equation);
  /// Two equations at once, read from left to right: both left sides are replaced together. Between
  /// them the left sides have all variables of the right ones.
  std::optional<LearnedRule> pair(const Equation& first, const Equation& second);
  /// Tests a rule on as many fresh instances, once; one that fails will not pass again.
  bool confirm(LearnedRule& rule, int instances);
  /// The rule was refuted elsewhere: its equation gets a form that says less, if any.
  void ban(const LearnedRule& rule) { banned_.insert(rule.identity()); }

 private:
  std::optional<LearnedRule> most_general(std::span<const Equation> equations, bool same_variables);
  bool passes(LearnedRule& rule, bool exact, int instances);

  TermPool& pool_;
  int instances_;
  std::map<std::string, int> passed_, confirmed_;  ///< identity -> instances
  std::set<std::string> banned_;                   ///< identity
  std::set<std::string> failed_;                   ///< text
};

/// True if each element of the output depends on the same element of the inputs only, by the
/// record's meaning.
bool is_pointwise(const ops::OpDef& def, size_t inputs);

}  // namespace tessera::synth
