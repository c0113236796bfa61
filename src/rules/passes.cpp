// SPDX-License-Identifier: Apache-2.0
// The table of computed rewrites.
#include "rules/passes.h"

#include <algorithm>

namespace tessera::rules {

const std::vector<Pass>& passes() {
  static const std::vector<Pass> table{
      {.name = "common-subexpression",
       .family = "graph",
       .doc = "nodes with the same operator, attributes and operands are one node"},
      {.name = "dead-code", .family = "graph", .doc = "nodes that no output needs are left out"},
      {.name = "fold-constants",
       .family = "graph",
       .doc = "what depends on constants only is computed once, unless the result is much larger"},
      {.name = "matrix-chain",
       .family = "algebra",
       .doc = "products of any number of matrices in the order with the fewest multiplications",
       .mode = Mode::real,
       .when_cheaper = true,
       .root = "matmul",
       .run = reorder_matrix_chain},
      {.name = "attention-in-tiles",
       .family = "algorithms",
       .doc = "attention as a scan over tiles of keys with a running maximum and sum",
       .mode = Mode::real,
       .when_cheaper = true,
       .when_asked = true,
       .root = "matmul",
       .run = attention_in_tiles},
      {.name = "einsum-order",
       .family = "algebra",
       .doc = "an einsum of many operands as binary ones with the fewest multiplications",
       .mode = Mode::real,
       .when_cheaper = true,
       .root = "einsum",
       .run = order_einsum},
      {.name = "einsum-product",
       .family = "algebra",
       .doc = "an einsum of one or two operands as reductions, transposes and one product",
       .mode = Mode::real,
       .root = "einsum",
       .run = einsum_as_product},
      {.name = "concat-concat",
       .family = "moves",
       .doc = "a concatenation of concatenations is one",
       .root = "concat",
       .run = flatten_concat},
      {.name = "concat-split",
       .family = "moves",
       .doc = "all parts of a split put together again",
       .root = "concat",
       .run = concat_of_parts},
      {.name = "split-concat",
       .family = "moves",
       .doc = "a concatenation split along its seams",
       .root = "split",
       .run = split_of_concat},
      {.name = "slice-concat",
       .family = "moves",
       .doc = "a slice within one operand of a concatenation",
       .root = "slice",
       .run = slice_of_concat},
      {.name = "slice-slice",
       .family = "moves",
       .doc = "a slice of a slice is one slice",
       .root = "slice",
       .run = slice_of_slice},
      {.name = "slice-pad",
       .family = "moves",
       .doc = "padding that a slice cuts off is not made",
       .root = "slice",
       .run = slice_of_pad},
  };
  return table;
}

bool finish_pass(WorkGraph& graph, size_t mark, ir::NodeId node,
                 const std::vector<ir::Value>& results, const std::string& pass) {
  bool valid = true;
  for (uint32_t k = 0; k < results.size() && valid; ++k)
    valid = !results[k].present() || (graph.type(results[k]) == graph.type({node, k}) &&
                                      !graph.depends_on(results[k].node, node));
  if (!valid) {
    graph.roll_back(mark);
    return false;
  }
  const std::string name = graph.node(node).name;
  for (size_t id = mark; id < graph.node_limit(); ++id) {
    const bool is_result =
        std::any_of(results.begin(), results.end(), [&](ir::Value v) { return v.node == id; });
    graph.annotate(static_cast<ir::NodeId>(id), is_result ? name : "", pass, name);
  }
  for (uint32_t k = 0; k < results.size(); ++k)
    if (results[k].present()) graph.replace({node, k}, results[k]);
  for (size_t id = mark; id < graph.node_limit(); ++id)
    graph.remove_if_dead(static_cast<ir::NodeId>(id));
  return true;
}

const Pass* find_pass(const std::string& name) {
  for (const Pass& p : passes())
    if (p.name == name) return &p;
  return nullptr;
}

}  // namespace tessera::rules
