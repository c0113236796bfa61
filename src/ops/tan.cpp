// SPDX-License-Identifier: Apache-2.0
// Tangent.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef tan() {
  return unary_record({.name = "tan",
                       .doc = "sin(x) / cos(x), elementwise.",
                       .onnx_op = "Tan",
                       .since = 7,
                       .traits = {Trait::odd}},
                      [](Expr x) { return ir::sin(x) / ir::cos(x); });
}

}  // namespace tessera::ops::records
