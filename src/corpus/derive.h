// SPDX-License-Identifier: Apache-2.0
// Whether the rules lead from one graph to another: breadth-first search from both, by every match
// of every rule and pass, until the two meet.
#pragma once

#include <string>
#include <vector>

#include "rules/rule_set.h"
#include "rules/work_graph.h"

namespace tessera::corpus {

struct DeriveOptions {
  int max_graphs = 3000;  ///< kept on each side
  int max_nodes = 40;     ///< of one graph
};

struct Derived {
  bool found = false;
  /// Names of the rules and passes from the left graph, and from the right graph, to where they
  /// meet. Sums and products meet whatever their order and their parentheses.
  std::vector<std::string> left, right;
  int graphs = 0;  ///< looked at, both sides together
};

/// REQUIRES: inputs of the same names and types, outputs in the same order.
Derived derive(const ir::Graph& left, const ir::Graph& right, const rules::RuleSet& rules,
               const DeriveOptions& options = {});

/// How a graph is recognized: equal for graphs that compute the same up to the order of
/// commutative operands, the spelling of attributes, the names of outputs, and rounding of float
/// constants and real attributes to 6 digits. `flat`: up to the parentheses of associative
/// operators too. Inputs count by name.
Hash128 recognition_hash(const rules::WorkGraph& graph, bool flat);

}  // namespace tessera::corpus
