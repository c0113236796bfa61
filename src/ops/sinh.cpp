// SPDX-License-Identifier: Apache-2.0
// Hyperbolic sine.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef sinh() {
  return unary_record({.name = "sinh",
                       .doc = "(e^x − e^−x) / 2, elementwise.",
                       .onnx_op = "Sinh",
                       .since = 9,
                       .traits = {Trait::odd, Trait::monotone}},
                      [](Expr x) {
                        // expm1 keeps the digits near 0; squaring e^(|x|/2) overflows only where
                        // the result does.
                        const Expr a = ir::abs(x), e = ir::expm1(a), half = ir::exp(0.5 * a);
                        return ir::sign(x) *
                               select(a < 20, 0.5 * (e + e / (e + 1)), 0.5 * half * half);
                      });
}

}  // namespace tessera::ops::records
