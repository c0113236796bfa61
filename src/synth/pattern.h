// SPDX-License-Identifier: Apache-2.0
// Rules while they are being learned: two terms whose variables stand for tensors of any type and
// whose parameters may be variables too. They are matched against terms (for derivability) and
// printed in the rule language (for everybody else).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "synth/condition.h"
#include "synth/term.h"

namespace tessera::synth {

/// A parameter of an operator in a pattern.
struct ParameterSpec {
  enum class Kind : uint8_t { literal, variable, extents };
  Kind kind = Kind::literal;
  ir::AttrValue value;  ///< of a literal; of the others as it was in the instance
  int variable = -1;
  /// The list of (dim ?variable axis); an axis below 0 is what parameter −1 − axis says.
  std::vector<std::pair<int, int>> extents = {};
};

struct PatternNode {
  const ops::OpDef* def = nullptr;  ///< null: a variable or a number
  int variable = -1;
  std::optional<double> number = {};  ///< a constant of equal elements
  int name = -1;                      ///< number of the node's own name (`?t1:`), for conditions
  int output = 0;
  std::vector<std::pair<std::string, ParameterSpec>> parameters = {};
  int rest = -1;  ///< variable for all parameters together (`*?p1`)
  std::vector<PatternNode> args = {};
};

struct LearnedRule {
  std::string name;
  PatternNode left, right;
  /// A second pattern that is replaced at once, and what by: `P & Q => R & S`.
  std::optional<PatternNode> second_left, second_right;
  std::vector<Condition> conditions;
  std::vector<ir::ValueType> types;  ///< of the variables, in the instance it was learned from
  std::vector<std::string> samples;  ///< clauses, without "on"
  std::vector<std::string> adverse;  ///< clauses to refute it with; not printed
  bool both_ways = false;            ///< the sides have the same variables
  bool exact = false;
  TermId left_term = 0, right_term = 0;
  int instances = 0;  ///< of the test that it passed
  /// The rule in the rule language.
  std::string text() const;
  /// left, right and conditions: what makes two rules one.
  std::string statement() const;
  /// The statement and how exactly it is meant.
  std::string identity() const { return statement() + (exact ? " exact" : " real"); }
};

struct Match {
  std::vector<std::optional<TermId>> variables;
  std::map<int, ir::AttrValue> parameters;
  std::map<int, ir::AttrMap> rests;
  std::map<int, TermId> nodes;
};

/// Calls `found` for every way in which the pattern is the term; stops when it returns false.
bool match_pattern(const TermPool& pool, const PatternNode& pattern, TermId term, Match& match,
                   const std::function<bool(const Match&)>& found);
/// The pattern's term under a match; nothing if it is not legal or a variable is unbound.
std::optional<TermId> build_pattern(TermPool& pool, const PatternNode& pattern, const Match& match);
bool holds(const TermPool& pool, std::span<const Condition> conditions, const Match& match);

std::string variable_name(int variable);

}  // namespace tessera::synth
