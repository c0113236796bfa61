// SPDX-License-Identifier: Apache-2.0
// Cosine.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef cos() {
  return unary_record({.name = "cos",
                       .doc = "cos(x), elementwise.",
                       .onnx_op = "Cos",
                       .since = 7,
                       .traits = {Trait::even}},
                      [](Expr x) { return ir::cos(x); });
}

}  // namespace tessera::ops::records
