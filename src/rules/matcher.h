// SPDX-License-Identifier: Apache-2.0
// Finds where rules apply, and applies them.
//
// An attribute that a left side does not mention must have its default; operands of commutative
// operators match in both orders; a literal matches a constant whose elements all have that value
// (within the rounding of its type when it is no short binary fraction).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "rules/bindings.h"

namespace tessera::rules {

struct Match {
  const Rule* rule = nullptr;
  std::vector<ir::Value> roots;  ///< the values that are replaced, one for each result
  Bindings bindings;
  int ordinal = 0;  ///< number among the matches of this rule at the first root
};

/// Matches of `rule` whose first root is an output of `node`, in a fixed order. `found` returns
/// false to stop.
void find_matches(const WorkGraph& graph, const Rule& rule, ir::NodeId node,
                  const std::function<bool(const Match&)>& found);

/// Adds the right side of a match without replacing anything: its results, or nothing if it cannot
/// be built. Their types are not compared with those of the roots.
std::optional<std::vector<ir::Value>> add_right_side(WorkGraph& graph, const Match& match);

/// Applies a match: adds the right side and replaces the roots. False, with the graph as before, if
/// the right side is refused by its records or requires symbolic sizes to be equal that need not be
/// on the left, has another type than the left side, would make a
/// cycle, or changes nothing.
bool apply(WorkGraph& graph, const Match& match);

}  // namespace tessera::rules
