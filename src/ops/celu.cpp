// SPDX-License-Identifier: Apache-2.0
// Continuously differentiable exponential linear unit.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef celu() {
  return unary_record(
      {.name = "celu",
       .doc = "max(x, 0) + min(0, alpha · (e^(x / alpha) − 1)), elementwise (Barron 2017).",
       .onnx_op = "Celu",
       .since = 12,
       .attrs = {real_attr("alpha", 1.0)}},
      [](MeaningBuilder& b, Expr x) {
        const double alpha = b.real("alpha");
        return ir::max(x, 0) + ir::min(0, alpha * ir::expm1(x / alpha));
      });
}

}  // namespace tessera::ops::records
