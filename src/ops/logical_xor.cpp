// SPDX-License-Identifier: Apache-2.0
// Exclusive disjunction.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef logical_xor() {
  return binary_record(
      {.name = "logical_xor",
       .doc = "Whether exactly one of x and y holds, elementwise under NumPy broadcasting.",
       .onnx_op = "Xor",
       .since = 7,
       .domain = Domain::booleans,
       .traits = {Trait::commutative, Trait::associative}},
      [](Expr x, Expr y) { return ir::ne(x, y); });
}

}  // namespace tessera::ops::records
