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
#include <utility>
#include <vector>

#include "synth/evidence.h"
#include "synth/pattern.h"

namespace tessera::synth {

struct Equation {
  TermId left = 0, right = 0;
};

/// Tries forms from general to special, each under the weakest conditions that random instances
/// within its sample clauses and beyond them speak for (evidence.h). What was found once is not
/// searched again.
class Generalizer {
 public:
  /// `instances`: how many are drawn from each sample clause.
  explicit Generalizer(TermPool& pool, int instances = 40) : pool_(pool), instances_(instances) {}

  /// Nothing if no form passes: the equation is an accident of its shapes, or has no spelling.
  std::optional<LearnedRule> one(const Equation& equation);
  /// Two equations at once, read from left to right: both left sides are replaced together. Between
  /// them the left sides have all variables of the right ones.
  std::optional<LearnedRule> pair(const Equation& first, const Equation& second);
  /// Tests a rule on as many fresh instances, once; one that fails will not pass again.
  bool confirm(LearnedRule& rule, int instances);
  /// The rule was refuted elsewhere, `backward`: from right to left only. Its equation gets a form
  /// that says less, if any.
  void ban(const LearnedRule& rule, bool backward);

  /// What was decided since the last call, as text that another generalizer of the same equations
  /// can learn from instead of drawing instances itself.
  std::string take_news() { return std::exchange(news_, {}); }
  void learn(const std::string& news);

 private:
  /// A set of conditions that random instances speak for.
  struct Choice {
    ConditionSet set = 0;
    int instances = 0;
    std::vector<size_t> clauses;
  };
  std::optional<LearnedRule> most_general(std::span<const Equation> equations, bool same_variables);
  /// The draft under the weakest conditions that random instances speak for.
  std::optional<LearnedRule> under_conditions(const LearnedRule& draft,
                                              const std::vector<std::pair<int, int>>& shapes);
  const std::vector<Choice>& choices(const LearnedRule& draft,
                                     const std::vector<Condition>& candidates, int round);

  TermPool& pool_;
  int instances_;
  std::map<std::string, std::vector<Choice>> choices_;  ///< by draft, candidates and round
  std::map<std::string, int> confirmed_;                ///< identity -> instances
  std::set<std::string> banned_;                        ///< identity
  std::map<std::pair<TermId, TermId>, int> refuted_;    ///< how often, by equation
  std::string news_;
};

/// True if each element of the output depends on the same element of the inputs only, by the
/// record's meaning.
bool is_pointwise(const ops::OpDef& def, size_t inputs);

}  // namespace tessera::synth
