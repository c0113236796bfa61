// SPDX-License-Identifier: Apache-2.0
// Swish, with alpha = 1 also called SiLU.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef swish() {
  return unary_record(
      {.name = "swish",
       .doc = "x / (1 + e^(−alpha · x)), elementwise (Ramachandran et al. 2017).",
       .onnx_op = "Swish",
       .since = 24,
       .attrs = {real_attr("alpha", 1.0)}},
      [](MeaningBuilder& b, Expr x) { return x / (1 + ir::exp(-(b.real("alpha") * x))); });
}

}  // namespace tessera::ops::records
