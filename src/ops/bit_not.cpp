// SPDX-License-Identifier: Apache-2.0
// Bitwise complement.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef bit_not() {
  return unary_record({.name = "bit_not",
                       .doc = "The bits of x inverted, elementwise.",
                       .onnx_op = "BitwiseNot",
                       .since = 18,
                       .domain = Domain::integers,
                       .traits = {Trait::involution}},
                      [](Expr x) { return ~x; });
}

}  // namespace tessera::ops::records
