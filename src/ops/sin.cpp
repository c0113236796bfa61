// SPDX-License-Identifier: Apache-2.0
// Sine.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef sin() {
  return unary_record({.name = "sin",
                       .doc = "sin(x), elementwise.",
                       .onnx_op = "Sin",
                       .since = 7,
                       .traits = {Trait::odd}},
                      [](Expr x) { return ir::sin(x); });
}

}  // namespace tessera::ops::records
