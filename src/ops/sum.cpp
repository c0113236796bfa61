// SPDX-License-Identifier: Apache-2.0
// Sum of several tensors.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef sum() {
  return variadic_record({.name = "sum",
                          .doc = "The sum of the inputs, elementwise under NumPy broadcasting.",
                          .onnx_op = "Sum",
                          .since = 6,
                          .domain = Domain::numbers,
                          .traits = {Trait::commutative, Trait::associative}},
                         [](Expr x, Expr y) { return x + y; });
}

}  // namespace tessera::ops::records
