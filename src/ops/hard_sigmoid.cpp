// SPDX-License-Identifier: Apache-2.0
// Piecewise linear sigmoid.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef hard_sigmoid() {
  return unary_record({.name = "hard_sigmoid",
                       .doc = "alpha · x + beta clamped to [0, 1], elementwise.",
                       .onnx_op = "HardSigmoid",
                       .since = 6,
                       .attrs = {real_attr("alpha", 0.2), real_attr("beta", 0.5)}},
                      [](MeaningBuilder& b, Expr x) {
                        return ir::max(0, ir::min(1, b.real("alpha") * x + b.real("beta")));
                      });
}

}  // namespace tessera::ops::records
