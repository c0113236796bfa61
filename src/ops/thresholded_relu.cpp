// SPDX-License-Identifier: Apache-2.0
// Rectifier with a threshold.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef thresholded_relu() {
  return unary_record(
      {.name = "thresholded_relu",
       .doc = "x above alpha, else 0, elementwise.",
       .onnx_op = "ThresholdedRelu",
       .since = 10,
       .attrs = {real_attr("alpha", 1.0)}},
      [](MeaningBuilder& b, Expr x) { return select(b.real("alpha") < x, x, literal_like(x, 0)); });
}

}  // namespace tessera::ops::records
