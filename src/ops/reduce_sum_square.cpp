// SPDX-License-Identifier: Apache-2.0
// Sum of squares over axes.
#include "ops/reduce_form.h"

namespace tessera::ops::records {

OpDef reduce_sum_square() {
  return reduction_record(
      "reduce_sum_square", "Σ x² over `axes`.", "ReduceSumSquare", 18,
      [](MeaningBuilder& b, const TensorArg& x, const ReducedAxes& axes, std::span<const Expr> i) {
        return b.reduce(ir::Reduction::sum, axes.extents, [&](auto r) {
          const Expr e = x(axes.index(i, r));
          return e * e;
        });
      });
}

}  // namespace tessera::ops::records
