// SPDX-License-Identifier: Apache-2.0
// What the variables of a rule stand for in one match.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "rules/rule.h"
#include "rules/work_graph.h"

namespace tessera::rules {

/// A value of the condition language. Integers and sizes are one kind (sym::Expr).
using TermValue = std::variant<bool, sym::Expr, double, std::string, DType, std::vector<sym::Expr>,
                               std::vector<double>, ir::Value>;

struct Binding {
  enum class Kind : uint8_t { unset, value, term, attrs, list };
  Kind kind = Kind::unset;
  ir::Value value;
  std::optional<TermValue> term;
  ir::AttrMap attrs;
  std::vector<Binding> list;  ///< of a list variable: one for each repetition
  bool operator==(const Binding& o) const;
};

using Bindings = std::vector<Binding>;  // by slot

/// An attribute as a value of the condition language; nothing for tensors and string lists.
std::optional<TermValue> to_term_value(const ir::AttrValue& value);
/// A value as an attribute of the given kind; nothing if it does not fit.
std::optional<ir::AttrValue> to_attribute(const TermValue& value, ir::AttrKind kind);

/// What terms are evaluated in. `repetition` says which element list variables mean (−1: none).
struct TermContext {
  const WorkGraph& graph;
  const Rule& rule;
  const Bindings& bindings;
  int repetition = -1;
};

/// Nothing if the term is undefined here (an axis that does not exist, a size that is unknown).
std::optional<TermValue> evaluate(const Term& term, const TermContext& context);
/// True if the condition is defined and holds.
bool holds(const Term& condition, const TermContext& context);
/// Names and one-line descriptions of all functions of the condition language.
std::vector<std::pair<std::string, std::string>> term_functions();
/// How often a pattern or term that mentions list variables is repeated; −1 if it mentions none.
int repetitions(const Term& term, const TermContext& context);
int repetitions(const Pattern& pattern, const TermContext& context);

/// The one value that all elements of a constant have (as double), if they are equal.
std::optional<double> uniform_value(const WorkGraph& graph, ir::Value v);

}  // namespace tessera::rules
