// SPDX-License-Identifier: Apache-2.0
// Leaky rectifier.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef leaky_relu() {
  return unary_record(
      {.name = "leaky_relu",
       .doc = "x, or alpha · x below 0, elementwise.",
       .onnx_op = "LeakyRelu",
       .since = 6,
       .attrs = {real_attr("alpha", 0.01)}},
      [](MeaningBuilder& b, Expr x) { return select(x < 0, b.real("alpha") * x, x); });
}

}  // namespace tessera::ops::records
