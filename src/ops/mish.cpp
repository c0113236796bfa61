// SPDX-License-Identifier: Apache-2.0
// Mish.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef mish() {
  return unary_record({.name = "mish",
                       .doc = "x · tanh(log(1 + e^x)), elementwise (Misra 2019).",
                       .onnx_op = "Mish",
                       .since = 18},
                      [](Expr x) {
                        const Expr softplus = ir::max(x, 0) + ir::log1p(ir::exp(-ir::abs(x)));
                        return x * ir::tanh(softplus);
                      });
}

}  // namespace tessera::ops::records
