// SPDX-License-Identifier: Apache-2.0
// Strictly less.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef less() {
  return binary_record({.name = "less",
                        .doc = "x < y, elementwise under NumPy broadcasting; false for NaN.",
                        .onnx_op = "Less",
                        .since = 7,
                        .domain = Domain::numbers},
                       [](Expr x, Expr y) { return x < y; });
}

}  // namespace tessera::ops::records
