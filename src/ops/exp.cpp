// SPDX-License-Identifier: Apache-2.0
// Exponential.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef exp() {
  return unary_record(
      {.name = "exp", .doc = "e^x, elementwise.", .onnx_op = "Exp", .traits = {Trait::monotone}},
      [](Expr x) { return ir::exp(x); });
}

}  // namespace tessera::ops::records
