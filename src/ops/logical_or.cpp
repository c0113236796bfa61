// SPDX-License-Identifier: Apache-2.0
// Disjunction.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef logical_or() {
  return binary_record({.name = "logical_or",
                        .doc = "x or y, elementwise under NumPy broadcasting.",
                        .onnx_op = "Or",
                        .since = 7,
                        .domain = Domain::booleans,
                        .traits = {Trait::commutative, Trait::associative, Trait::idempotent}},
                       [](Expr x, Expr y) { return x || y; });
}

}  // namespace tessera::ops::records
