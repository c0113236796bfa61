// SPDX-License-Identifier: Apache-2.0
// Soft or hard shrinkage.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef shrink() {
  return unary_record(
      {.name = "shrink",
       .doc = "x + bias below −lambd, x − bias above lambd, else 0, elementwise; integers are "
              "computed in f64.",
       .onnx_op = "Shrink",
       .since = 9,
       .domain = Domain::numbers,
       .attrs = {real_attr("bias", 0.0), real_attr("lambd", 0.5)}},
      [](MeaningBuilder& b, Expr x) {
        const double lambd = b.real("lambd"), bias = b.real("bias");
        const Expr v = is_float(x.type()) ? x : ir::cast(x, DType::f64);
        const Expr result =
            select(v < -lambd, v + bias, select(v > lambd, v - bias, literal_like(v, 0)));
        return ir::cast(result, x.type());
      });
}

}  // namespace tessera::ops::records
