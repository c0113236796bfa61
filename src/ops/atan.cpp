// SPDX-License-Identifier: Apache-2.0
// Arctangent.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef atan() {
  return unary_record({.name = "atan",
                       .doc = "The arctangent, elementwise.",
                       .onnx_op = "Atan",
                       .since = 7,
                       .traits = {Trait::odd, Trait::monotone}},
                      [](Expr x) { return ir::atan(x); });
}

}  // namespace tessera::ops::records
