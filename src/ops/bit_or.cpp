// SPDX-License-Identifier: Apache-2.0
// Bitwise disjunction.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef bit_or() {
  return binary_record({.name = "bit_or",
                        .doc = "The bits of x or y, elementwise under NumPy broadcasting.",
                        .onnx_op = "BitwiseOr",
                        .since = 18,
                        .domain = Domain::integers,
                        .traits = {Trait::commutative, Trait::associative, Trait::idempotent}},
                       [](Expr x, Expr y) { return ir::bit_or(x, y); });
}

}  // namespace tessera::ops::records
