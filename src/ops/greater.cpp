// SPDX-License-Identifier: Apache-2.0
// Strictly greater.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef greater() {
  return binary_record({.name = "greater",
                        .doc = "x > y, elementwise under NumPy broadcasting; false for NaN.",
                        .onnx_op = "Greater",
                        .since = 7,
                        .domain = Domain::numbers},
                       [](Expr x, Expr y) { return y < x; });
}

}  // namespace tessera::ops::records
