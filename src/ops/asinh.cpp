// SPDX-License-Identifier: Apache-2.0
// Inverse hyperbolic sine.
#include <numbers>

#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef asinh() {
  return unary_record({.name = "asinh",
                       .doc = "log(x + √(x² + 1)), elementwise.",
                       .onnx_op = "Asinh",
                       .since = 9,
                       .traits = {Trait::odd, Trait::monotone}},
                      [](Expr x) {
                        // log1p keeps the digits near 0; beyond 10^8, 1/(4x²) is below the
                        // precision of f64.
                        const Expr a = ir::abs(x), square = a * a;
                        const Expr near = ir::log1p(a + square / (1 + ir::sqrt(square + 1)));
                        return ir::sign(x) * select(a < 1e8, near, ir::log(a) + std::numbers::ln2);
                      });
}

}  // namespace tessera::ops::records
