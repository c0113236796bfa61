// SPDX-License-Identifier: Apache-2.0
// From an equation of two graphs of known shapes to a rule for all shapes: parameters become
// variables, what the shapes have in common becomes conditions, and the most general form that
// survives random testing is kept.
#pragma once

#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
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

  /// What a visitor thinks of a form. One that is false says that more instances must speak for the
  /// next; one that is `weak` (true, but not good enough) gives way to others that say less.
  struct Opinion {
    enum class Kind : uint8_t { take, weak, wrong, stop };
    Kind kind = Kind::take;
    /// Of a rule both ways: that direction alone would be no better.
    bool not_forward = false, not_backward = false;
  };
  using Visitor = std::function<Opinion(LearnedRule&)>;
  /// Shows the forms of an equation, from general to special; within one, both directions before
  /// one of them, and bits kept before equality over the reals. Ends when one is taken.
  void forms(const Equation& equation, const Visitor& visit);
  /// Of two equations at once, read from left to right: both left sides are replaced together.
  /// Between them the left sides have all variables of the right ones.
  void pair_forms(const Equation& first, const Equation& second, const Visitor& visit);
  /// The first form; nothing if there is none: the equation is an accident of its shapes, or has no
  /// spelling.
  std::optional<LearnedRule> one(const Equation& equation);
  std::optional<LearnedRule> pair(const Equation& first, const Equation& second);
  /// Tests a rule on as many fresh instances, once.
  bool confirm(LearnedRule& rule, int instances);

  /// What was decided since the last call, as text that another generalizer can learn from instead
  /// of drawing instances itself. What is learned changes no answer.
  std::string take_news() { return std::exchange(news_, {}); }
  /// One entry of such text, whose first word was read already.
  void learn(const std::string& word, std::istream& in);

 private:
  /// A set of conditions that random instances speak for.
  struct Choice {
    ConditionSet set = 0;
    int instances = 0;
    std::vector<size_t> clauses;
  };
  /// True if all is over.
  bool show_forms(std::span<const Equation> equations, bool reversible, const Visitor& visit);
  /// Under the weakest conditions that random instances speak for, then under others.
  Opinion under_conditions(const LearnedRule& draft, const std::vector<std::pair<int, int>>& shapes,
                           const Visitor& visit);
  const std::vector<Choice>& choices(const LearnedRule& draft,
                                     const std::vector<Condition>& candidates, int round);

  TermPool& pool_;
  int instances_;
  std::map<std::string, std::vector<Choice>> choices_;  ///< by hash of draft, candidates and round
  std::map<std::string, int> confirmed_;  ///< by hash of the text: instances, or −1 if it fell
  std::string news_;
};

/// True if each element of the output depends on the same element of the inputs only, by the
/// record's meaning.
bool is_pointwise(const ops::OpDef& def, size_t inputs);

}  // namespace tessera::synth
