// SPDX-License-Identifier: Apache-2.0
// Sign.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef sign() {
  return unary_record({.name = "sign",
                       .doc = "−1, 0 or 1; NaN stays NaN, elementwise.",
                       .onnx_op = "Sign",
                       .since = 9,
                       .domain = Domain::numbers,
                       .traits = {Trait::monotone, Trait::idempotent, Trait::odd}},
                      [](Expr x) { return ir::sign(x); });
}

}  // namespace tessera::ops::records
