// SPDX-License-Identifier: Apache-2.0
// Inverse hyperbolic tangent.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef atanh() {
  return unary_record({.name = "atanh",
                       .doc = "log((1 + x) / (1 − x)) / 2; NaN outside [−1, 1], elementwise.",
                       .onnx_op = "Atanh",
                       .since = 9,
                       .traits = {Trait::odd, Trait::monotone}},
                      [](Expr x) {
                        const Expr a = ir::abs(x);
                        return ir::sign(x) * (0.5 * ir::log1p(2 * a / (1 - a)));
                      });
}

}  // namespace tessera::ops::records
