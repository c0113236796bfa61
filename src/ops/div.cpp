// SPDX-License-Identifier: Apache-2.0
// Division with broadcasting.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef div() {
  return binary_record({.name = "div",
                        .doc = "x / y, elementwise under NumPy broadcasting; integers truncate "
                               "toward zero, by zero gives 0.",
                        .onnx_op = "Div",
                        .since = 7,
                        .domain = Domain::numbers},
                       [](Expr x, Expr y) { return x / y; });
}

}  // namespace tessera::ops::records
