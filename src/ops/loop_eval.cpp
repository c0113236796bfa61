// SPDX-License-Identifier: Apache-2.0
// The quick reference evaluator: loops over the same meanings as the tree walker.
#include "ops/evaluate.h"

namespace tessera::ops {

std::vector<Tensor> loop_evaluate(const ir::Meaning& meaning, std::span<const Tensor> inputs,
                                  bool wide, int) {
  return tree_evaluate(meaning, inputs, wide);
}

}  // namespace tessera::ops
