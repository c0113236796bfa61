// SPDX-License-Identifier: Apache-2.0
// Hyperbolic cosine.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef cosh() {
  return unary_record({.name = "cosh",
                       .doc = "(e^x + e^−x) / 2, elementwise.",
                       .onnx_op = "Cosh",
                       .since = 9,
                       .traits = {Trait::even}},
                      [](Expr x) {
                        // Squaring e^(|x|/2) overflows only where the result does.
                        const Expr half = ir::exp(0.5 * ir::abs(x));
                        return 0.5 * half * half + 0.5 / half / half;
                      });
}

}  // namespace tessera::ops::records
