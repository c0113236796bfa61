// SPDX-License-Identifier: Apache-2.0
// Negation.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef neg() {
  return unary_record({.name = "neg",
                       .doc = "−x, elementwise; integers wrap.",
                       .onnx_op = "Neg",
                       .domain = Domain::signed_numbers,
                       .traits = {Trait::involution, Trait::odd}},
                      [](Expr x) { return -x; });
}

}  // namespace tessera::ops::records
