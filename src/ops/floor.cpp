// SPDX-License-Identifier: Apache-2.0
// Rounding down.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef floor() {
  return unary_record({.name = "floor",
                       .doc = "The greatest integer not above x, elementwise.",
                       .onnx_op = "Floor",
                       .traits = {Trait::monotone, Trait::idempotent}},
                      [](Expr x) { return ir::floor(x); });
}

}  // namespace tessera::ops::records
