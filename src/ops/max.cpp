// SPDX-License-Identifier: Apache-2.0
// Maximum of several tensors.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef max() {
  return variadic_record(
      {.name = "max",
       .doc = "The greatest input, elementwise under NumPy broadcasting; NaN if any is NaN.",
       .onnx_op = "Max",
       .since = 6,
       .domain = Domain::numbers,
       .traits = {Trait::commutative, Trait::associative, Trait::idempotent}},
      [](Expr x, Expr y) { return ir::max(x, y); });
}

}  // namespace tessera::ops::records
