// SPDX-License-Identifier: Apache-2.0
// Euclidean norm over axes.
#include "ops/reduce_form.h"

namespace tessera::ops::records {

OpDef reduce_l2() {
  return reduction_record(
      "reduce_l2", "√Σ x² over `axes`; integers go through the square root in f64.", "ReduceL2", 18,
      [](MeaningBuilder& b, const TensorArg& x, const ReducedAxes& axes, std::span<const Expr> i) {
        const Expr total = b.reduce(ir::Reduction::sum, axes.extents, [&](auto r) {
          const Expr e = x(axes.index(i, r));
          return e * e;
        });
        if (is_float(x.type())) return ir::sqrt(total);
        return cast(ir::sqrt(cast(total, DType::f64)), x.type());
      });
}

}  // namespace tessera::ops::records
