// SPDX-License-Identifier: Apache-2.0
// Less or equal.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef less_or_equal() {
  return binary_record({.name = "less_or_equal",
                        .doc = "x <= y, elementwise under NumPy broadcasting; false for NaN.",
                        .onnx_op = "LessOrEqual",
                        .since = 12,
                        .domain = Domain::numbers},
                       [](Expr x, Expr y) { return x <= y; });
}

}  // namespace tessera::ops::records
