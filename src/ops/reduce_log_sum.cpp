// SPDX-License-Identifier: Apache-2.0
// Logarithm of the sum over axes.
#include "ops/reduce_form.h"

namespace tessera::ops::records {

OpDef reduce_log_sum() {
  return reduction_record(
      "reduce_log_sum", "log Σ x over `axes`; integers go through the logarithm in f64.",
      "ReduceLogSum", 18,
      [](MeaningBuilder& b, const TensorArg& x, const ReducedAxes& axes, std::span<const Expr> i) {
        const Expr total =
            b.reduce(ir::Reduction::sum, axes.extents, [&](auto r) { return x(axes.index(i, r)); });
        if (is_float(x.type())) return ir::log(total);
        return cast(ir::log(cast(total, DType::f64)), x.type());
      });
}

}  // namespace tessera::ops::records
