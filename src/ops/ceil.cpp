// SPDX-License-Identifier: Apache-2.0
// Rounding up.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef ceil() {
  return unary_record({.name = "ceil",
                       .doc = "The least integer not below x, elementwise.",
                       .onnx_op = "Ceil",
                       .traits = {Trait::monotone, Trait::idempotent}},
                      [](Expr x) { return ir::ceil(x); });
}

}  // namespace tessera::ops::records
