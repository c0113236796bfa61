// SPDX-License-Identifier: Apache-2.0
// Bitwise exclusive disjunction.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef bit_xor() {
  return binary_record(
      {.name = "bit_xor",
       .doc = "The bits of exactly one of x and y, elementwise under NumPy broadcasting.",
       .onnx_op = "BitwiseXor",
       .since = 18,
       .domain = Domain::integers,
       .traits = {Trait::commutative, Trait::associative}},
      [](Expr x, Expr y) { return ir::bit_xor(x, y); });
}

}  // namespace tessera::ops::records
