// SPDX-License-Identifier: Apache-2.0
// Reciprocal.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef reciprocal() {
  return unary_record({.name = "reciprocal",
                       .doc = "1 / x, elementwise.",
                       .onnx_op = "Reciprocal",
                       .traits = {Trait::odd}},
                      [](Expr x) { return 1 / x; });
}

}  // namespace tessera::ops::records
