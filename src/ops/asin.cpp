// SPDX-License-Identifier: Apache-2.0
// Arcsine.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef asin() {
  return unary_record({.name = "asin",
                       .doc = "The arcsine; NaN outside [−1, 1], elementwise.",
                       .onnx_op = "Asin",
                       .since = 7,
                       .traits = {Trait::odd, Trait::monotone}},
                      [](Expr x) { return ir::asin(x); });
}

}  // namespace tessera::ops::records
