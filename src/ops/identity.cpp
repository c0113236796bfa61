// SPDX-License-Identifier: Apache-2.0
// The identity.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef identity() {
  return unary_record({.name = "identity",
                       .doc = "x.",
                       .onnx_op = "Identity",
                       .domain = Domain::any,
                       .traits = {Trait::idempotent, Trait::involution}},
                      [](Expr x) { return x; });
}

}  // namespace tessera::ops::records
