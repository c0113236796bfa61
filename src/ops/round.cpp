// SPDX-License-Identifier: Apache-2.0
// Rounding to the nearest integer.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef round() {
  return unary_record({.name = "round",
                       .doc = "The nearest integer, halves to even, elementwise.",
                       .onnx_op = "Round",
                       .since = 11,
                       .traits = {Trait::monotone, Trait::idempotent, Trait::odd}},
                      [](Expr x) { return ir::round(x); });
}

}  // namespace tessera::ops::records
