// SPDX-License-Identifier: Apache-2.0
// Negation of truth values.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef logical_not() {
  return unary_record({.name = "logical_not",
                       .doc = "not x, elementwise.",
                       .onnx_op = "Not",
                       .domain = Domain::booleans,
                       .traits = {Trait::involution}},
                      [](Expr x) { return !x; });
}

}  // namespace tessera::ops::records
