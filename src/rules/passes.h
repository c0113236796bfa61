// SPDX-License-Identifier: Apache-2.0
// Rewrites that no pattern expresses, computed by code: one row each in passes.cpp. They appear in
// `rules list`, in derivations and in --disable like rules.
#pragma once

#include <string>
#include <vector>

#include "rules/rule.h"
#include "rules/work_graph.h"

namespace tessera::rules {

struct Pass {
  std::string name, family, doc;
  Mode mode = Mode::exact;
  bool when_cheaper = false;
  /// Operator at which it applies; empty: it belongs to the WorkGraph or to the end of the search.
  std::string root;
  /// Rewrites at `node`; false, with the graph as before, if there is nothing to do.
  bool (*run)(WorkGraph& graph, ir::NodeId node) = nullptr;
};

const std::vector<Pass>& passes();
const Pass* find_pass(const std::string& name);

/// Products of any number of matrices in the order that takes the fewest multiplications.
bool reorder_matrix_chain(WorkGraph& graph, ir::NodeId node);

/// Computes all constants whose size does not exceed `growth` times what they are computed from (or
/// 1 MiB), largest dependents first; returns how many nodes were folded.
int fold_large_constants(WorkGraph& graph, double growth);
/// The growth that searches use: merged and padded weights are folded, expanded scalars are not.
inline constexpr double fold_growth = 2;

}  // namespace tessera::rules
