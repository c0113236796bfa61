// SPDX-License-Identifier: Apache-2.0
// Square root.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef sqrt() {
  return unary_record({.name = "sqrt",
                       .doc = "The square root; NaN below 0, elementwise.",
                       .onnx_op = "Sqrt",
                       .traits = {Trait::monotone}},
                      [](Expr x) { return ir::sqrt(x); });
}

}  // namespace tessera::ops::records
