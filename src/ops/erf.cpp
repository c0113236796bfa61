// SPDX-License-Identifier: Apache-2.0
// Gauss error function.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef erf() {
  return unary_record({.name = "erf",
                       .doc = "The Gauss error function, elementwise.",
                       .onnx_op = "Erf",
                       .traits = {Trait::monotone, Trait::odd}},
                      [](Expr x) { return ir::erf(x); });
}

}  // namespace tessera::ops::records
