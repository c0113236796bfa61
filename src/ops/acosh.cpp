// SPDX-License-Identifier: Apache-2.0
// Inverse hyperbolic cosine.
#include <numbers>

#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef acosh() {
  return unary_record({.name = "acosh",
                       .doc = "log(x + √(x² − 1)); NaN below 1, elementwise.",
                       .onnx_op = "Acosh",
                       .since = 9,
                       .traits = {Trait::monotone}},
                      [](Expr x) {
                        // log1p keeps the digits near 1; beyond 10^8, 1/(4x²) is below the
                        // precision of f64.
                        const Expr t = x - 1;
                        return select(x < 1e8, ir::log1p(t + ir::sqrt(2 * t + t * t)),
                                      ir::log(x) + std::numbers::ln2);
                      });
}

}  // namespace tessera::ops::records
