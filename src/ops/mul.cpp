// SPDX-License-Identifier: Apache-2.0
// Multiplication with broadcasting.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef mul() {
  return binary_record({.name = "mul",
                        .doc = "x · y, elementwise under NumPy broadcasting; integers wrap.",
                        .onnx_op = "Mul",
                        .since = 7,
                        .domain = Domain::numbers,
                        .traits = {Trait::commutative, Trait::associative}},
                       [](Expr x, Expr y) { return x * y; });
}

}  // namespace tessera::ops::records
