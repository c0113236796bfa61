// SPDX-License-Identifier: Apache-2.0
// Arccosine.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef acos() {
  return unary_record({.name = "acos",
                       .doc = "The arccosine; NaN outside [−1, 1], elementwise.",
                       .onnx_op = "Acos",
                       .since = 7},
                      [](Expr x) { return ir::acos(x); });
}

}  // namespace tessera::ops::records
