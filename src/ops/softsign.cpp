// SPDX-License-Identifier: Apache-2.0
// Softsign.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef softsign() {
  return unary_record({.name = "softsign",
                       .doc = "x / (1 + |x|), elementwise.",
                       .onnx_op = "Softsign",
                       .traits = {Trait::monotone, Trait::odd}},
                      [](Expr x) { return x / (1 + ir::abs(x)); });
}

}  // namespace tessera::ops::records
