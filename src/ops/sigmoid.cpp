// SPDX-License-Identifier: Apache-2.0
// Logistic function.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef sigmoid() {
  return unary_record({.name = "sigmoid",
                       .doc = "1 / (1 + e^−x), elementwise.",
                       .onnx_op = "Sigmoid",
                       .traits = {Trait::monotone}},
                      [](Expr x) { return 1 / (1 + ir::exp(-x)); });
}

}  // namespace tessera::ops::records
