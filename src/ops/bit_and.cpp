// SPDX-License-Identifier: Apache-2.0
// Bitwise conjunction.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef bit_and() {
  return binary_record({.name = "bit_and",
                        .doc = "The bits that x and y share, elementwise under NumPy broadcasting.",
                        .onnx_op = "BitwiseAnd",
                        .since = 18,
                        .domain = Domain::integers,
                        .traits = {Trait::commutative, Trait::associative, Trait::idempotent}},
                       [](Expr x, Expr y) { return ir::bit_and(x, y); });
}

}  // namespace tessera::ops::records
