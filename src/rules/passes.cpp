// SPDX-License-Identifier: Apache-2.0
// The table of computed rewrites.
#include "rules/passes.h"

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
  };
  return table;
}

const Pass* find_pass(const std::string& name) {
  for (const Pass& p : passes())
    if (p.name == name) return &p;
  return nullptr;
}

}  // namespace tessera::rules
