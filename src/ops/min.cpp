// SPDX-License-Identifier: Apache-2.0
// Minimum of several tensors.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef min() {
  return variadic_record(
      {.name = "min",
       .doc = "The least input, elementwise under NumPy broadcasting; NaN if any is NaN.",
       .onnx_op = "Min",
       .since = 6,
       .domain = Domain::numbers,
       .traits = {Trait::commutative, Trait::associative, Trait::idempotent}},
      [](Expr x, Expr y) { return ir::min(x, y); });
}

}  // namespace tessera::ops::records
