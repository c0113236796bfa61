// SPDX-License-Identifier: Apache-2.0
// Exponential linear unit.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef elu() {
  return unary_record(
      {.name = "elu",
       .doc = "x, or alpha · (e^x − 1) below 0, elementwise (Clevert et al. 2015).",
       .onnx_op = "Elu",
       .since = 6,
       .attrs = {real_attr("alpha", 1.0)}},
      [](MeaningBuilder& b, Expr x) { return select(x < 0, b.real("alpha") * ir::expm1(x), x); });
}

}  // namespace tessera::ops::records
