// SPDX-License-Identifier: Apache-2.0
// Equality.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef equal() {
  return binary_record({.name = "equal",
                        .doc = "x = y, elementwise under NumPy broadcasting; false for NaN.",
                        .onnx_op = "Equal",
                        .since = 7,
                        .domain = Domain::any,
                        .traits = {Trait::commutative}},
                       [](Expr x, Expr y) { return ir::eq(x, y); });
}

}  // namespace tessera::ops::records
