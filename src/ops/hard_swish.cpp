// SPDX-License-Identifier: Apache-2.0
// Piecewise swish.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef hard_swish() {
  return unary_record({.name = "hard_swish",
                       .doc = "x · max(0, min(1, x / 6 + 1/2)), elementwise (Howard et al. 2019).",
                       .onnx_op = "HardSwish",
                       .since = 14},
                      [](Expr x) { return x * ir::max(0, ir::min(1, x * (1.0 / 6) + 0.5)); });
}

}  // namespace tessera::ops::records
