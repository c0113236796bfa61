// SPDX-License-Identifier: Apache-2.0
// Mean of several tensors.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef mean() {
  return variadic_record(
      {.name = "mean",
       .doc = "The mean of the inputs, elementwise under NumPy broadcasting.",
       .onnx_op = "Mean",
       .since = 6,
       .traits = {Trait::commutative, Trait::idempotent}},
      [](Expr x, Expr y) { return x + y; }, [](Expr total, int count) { return total / count; });
}

}  // namespace tessera::ops::records
