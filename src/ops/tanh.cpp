// SPDX-License-Identifier: Apache-2.0
// Hyperbolic tangent.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef tanh() {
  return unary_record({.name = "tanh",
                       .doc = "tanh(x), elementwise.",
                       .onnx_op = "Tanh",
                       .traits = {Trait::monotone, Trait::odd}},
                      [](Expr x) { return ir::tanh(x); });
}

}  // namespace tessera::ops::records
