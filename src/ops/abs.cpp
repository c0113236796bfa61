// SPDX-License-Identifier: Apache-2.0
// Absolute value.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef abs() {
  return unary_record({.name = "abs",
                       .doc = "|x|, elementwise; integers wrap at the minimum.",
                       .onnx_op = "Abs",
                       .domain = Domain::numbers,
                       .traits = {Trait::idempotent, Trait::even}},
                      [](Expr x) { return ir::abs(x); });
}

}  // namespace tessera::ops::records
