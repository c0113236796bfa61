// SPDX-License-Identifier: Apache-2.0
// Conjunction.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef logical_and() {
  return binary_record({.name = "logical_and",
                        .doc = "x and y, elementwise under NumPy broadcasting.",
                        .onnx_op = "And",
                        .since = 7,
                        .domain = Domain::booleans,
                        .traits = {Trait::commutative, Trait::associative, Trait::idempotent}},
                       [](Expr x, Expr y) { return x && y; });
}

}  // namespace tessera::ops::records
