// SPDX-License-Identifier: Apache-2.0
// A rewrite rule as data. One line of a rules file (grammar in docs/rule_language.md):
//
//   name : LHS [& LHS]… => RHS [& RHS]… [if TERM…] mode exact|real [when cheaper|asked] [on SAMPLE]
//
// LHS and RHS are patterns over operator records; TERMs compute with shapes, types and attributes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/op_def.h"

namespace tessera::rules {

/// An expression of the condition language: a literal, a variable, or a call of a named function.
struct Term {
  enum class Kind : uint8_t { integer, real, symbol, variable, call };
  Kind kind = Kind::integer;
  int64_t integer = 0;
  double real = 0;
  std::string name;  ///< of a symbol or of the function that is called
  int slot = -1;     ///< of a variable
  std::vector<Term> args;
};

struct AttrPattern {
  std::string name;
  Term term;  ///< left: a variable binds, anything else must be equal; right: the value
};

struct Pattern {
  /// `any` lists alternatives; `number` is a constant all of whose elements have that value;
  /// `scalar` (right side only) is a rank-0 constant computed by a term.
  enum class Kind : uint8_t { variable, number, apply, any, scalar };
  Kind kind = Kind::variable;
  int slot = -1;  ///< of a variable; of an apply or any: the variable that names it (`?y:(…)`)
  double number = 0;
  std::string text;  ///< of a number, as written
  Term term;         ///< of a scalar
  const ops::OpDef* def = nullptr;
  std::vector<AttrPattern> attrs;
  int rest = -1;  ///< variable that stands for all attributes not named (`*?a`)
  std::vector<Pattern> args;
  bool repeated = false;  ///< followed by `...`: any number of operands
  int output = 0;         ///< which output of the node (`(…).1`)
  int output_slot = -1;   ///< variable for the output number (`(…).?k`)
};

enum class Mode : uint8_t { exact, real };
inline std::string_view to_string(Mode mode) { return mode == Mode::exact ? "exact" : "real"; }

/// What one variable is in a sample instance of the rule.
struct SampleSpec {
  int slot = -1;
  std::string attr;  ///< `?a.name={…}`: one attribute of a `*?a` variable
  std::vector<std::string>
      dims;  ///< sizes: numbers, or names drawn at random; `n*` for each repetition
  bool is_tensor = false;
  bool positive = false;        ///< values above 0
  bool twice = false;           ///< the halves along the last axis are equal (`?x[n]twice`)
  bool eye = false;             ///< an identity matrix, or kernel with its one tap at the centre
  bool blocks = false;          ///< zero outside two blocks on the diagonal of the first two axes
  std::optional<double> value;  ///< of all elements (`?x[n]=1`)
  std::optional<DType> dtype;   ///< fixed element type
  std::optional<Term> term;     ///< attribute value
};
using RuleSample = std::vector<SampleSpec>;

/// One direction of a rule.
struct Rule {
  std::string name;
  std::string family;                  ///< the file's stem
  std::vector<std::string> variables;  ///< by slot, without "?"
  std::vector<bool> is_list;           ///< by slot: bound once for every repetition
  std::vector<Pattern> lhs, rhs;
  std::vector<Term> conditions;
  Mode mode = Mode::exact;
  bool both_ways = false;     ///< written with <=>
  bool when_cheaper = false;  ///< applied only where the cost falls; else wherever it matches
  /// An equation that no greedy search tries (associativity, distribution …): it serves derivations
  /// and searches that name it.
  bool when_asked = false;
  std::vector<RuleSample> samples;
  int line = 0;

  /// The rule in its canonical spelling; parsing it gives the same rule.
  std::string to_string() const;
  std::string left_text() const;
  std::string right_text() const;
  std::string condition_text() const;
  /// True if the left side is one repeated pattern: all nodes that match together.
  bool is_group() const { return lhs.size() == 1 && lhs[0].repeated; }
  /// The same rule read from right to left. REQUIRES: both_ways.
  Rule reversed() const;
};

/// Parses one rule. Throws UserError naming the family, line and column.
Rule parse_rule(std::string_view line, const std::string& family, int line_number);

}  // namespace tessera::rules
