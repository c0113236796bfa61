// SPDX-License-Identifier: Apache-2.0
// Smooth rectifier.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef softplus() {
  return unary_record({.name = "softplus",
                       .doc = "log(1 + e^x), elementwise.",
                       .onnx_op = "Softplus",
                       .traits = {Trait::monotone}},
                      [](Expr x) {
                        // This form neither overflows nor loses small results.
                        return ir::max(x, 0) + ir::log1p(ir::exp(-ir::abs(x)));
                      });
}

}  // namespace tessera::ops::records
