// SPDX-License-Identifier: Apache-2.0
// Addition with broadcasting.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef add() {
  return binary_record({.name = "add",
                        .doc = "x + y, elementwise under NumPy broadcasting; integers wrap.",
                        .onnx_op = "Add",
                        .since = 7,
                        .domain = Domain::numbers,
                        .traits = {Trait::commutative, Trait::associative}},
                       [](Expr x, Expr y) { return x + y; });
}

}  // namespace tessera::ops::records
