// SPDX-License-Identifier: Apache-2.0
// Rectifier.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef relu() {
  return unary_record({.name = "relu",
                       .doc = "max(x, 0), elementwise; NaN stays NaN.",
                       .onnx_op = "Relu",
                       .domain = Domain::numbers,
                       .traits = {Trait::monotone, Trait::idempotent}},
                      [](Expr x) { return ir::max(x, 0); });
}

}  // namespace tessera::ops::records
