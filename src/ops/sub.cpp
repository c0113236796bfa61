// SPDX-License-Identifier: Apache-2.0
// Subtraction with broadcasting.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef sub() {
  return binary_record({.name = "sub",
                        .doc = "x − y, elementwise under NumPy broadcasting; integers wrap.",
                        .onnx_op = "Sub",
                        .since = 7,
                        .domain = Domain::numbers},
                       [](Expr x, Expr y) { return x - y; });
}

}  // namespace tessera::ops::records
