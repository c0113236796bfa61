// SPDX-License-Identifier: Apache-2.0
// Greater or equal.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef greater_or_equal() {
  return binary_record({.name = "greater_or_equal",
                        .doc = "x >= y, elementwise under NumPy broadcasting; false for NaN.",
                        .onnx_op = "GreaterOrEqual",
                        .since = 12,
                        .domain = Domain::numbers},
                       [](Expr x, Expr y) { return y <= x; });
}

}  // namespace tessera::ops::records
