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
  bool when_asked = false;  ///< as of rules: no search tries it by itself
  /// Operator at which it applies; empty: it belongs to the WorkGraph or to the end of the search.
  std::string root;
  /// Rewrites at `node`; false, with the graph as before, if there is nothing to do.
  bool (*run)(WorkGraph& graph, ir::NodeId node) = nullptr;
};

const std::vector<Pass>& passes();
const Pass* find_pass(const std::string& name);

/// Ends a pass: replaces the outputs of `node` by `results` (an absent one stays) and says where
/// the nodes from `mark` on come from. False, with the graph as it was at `mark`, if a type differs
/// or a cycle would arise.
bool finish_pass(WorkGraph& graph, size_t mark, ir::NodeId node,
                 const std::vector<ir::Value>& results, const std::string& pass);

/// An einsum of three or more operands as binary ones in the order with the fewest multiplications.
bool order_einsum(WorkGraph& graph, ir::NodeId node);
/// An einsum of one or two operands as reductions, moves and one product.
bool einsum_as_product(WorkGraph& graph, ir::NodeId node);

bool flatten_concat(WorkGraph& graph, ir::NodeId node);   ///< concat of concats
bool concat_of_parts(WorkGraph& graph, ir::NodeId node);  ///< all parts of a split, in order
bool split_of_concat(WorkGraph& graph, ir::NodeId node);  ///< along its seams
bool slice_of_concat(WorkGraph& graph, ir::NodeId node);  ///< within one operand
bool slice_of_slice(WorkGraph& graph, ir::NodeId node);
bool slice_of_pad(WorkGraph& graph, ir::NodeId node);  ///< padding that is cut off again

/// softmax(q·t)·v as a scan over tiles of keys with a running maximum and sum.
bool attention_in_tiles(WorkGraph& graph, ir::NodeId node);

/// Products of any number of matrices in the order that takes the fewest multiplications.
bool reorder_matrix_chain(WorkGraph& graph, ir::NodeId node);

/// Computes all constants whose size does not exceed `growth` times what they are computed from (or
/// 1 MiB), largest dependents first; returns how many nodes were folded.
int fold_large_constants(WorkGraph& graph, double growth);
/// The growth that searches use: merged and padded weights are folded, expanded scalars are not.
inline constexpr double fold_growth = 2;

}  // namespace tessera::rules
