// SPDX-License-Identifier: Apache-2.0
// Sum of absolute values over axes.
#include "ops/reduce_form.h"

namespace tessera::ops::records {

OpDef reduce_l1() {
  return reduction_record(
      "reduce_l1", "Σ |x| over `axes`.", "ReduceL1", 18,
      [](MeaningBuilder& b, const TensorArg& x, const ReducedAxes& axes, std::span<const Expr> i) {
        return b.reduce(ir::Reduction::sum, axes.extents,
                        [&](auto r) { return ir::abs(x(axes.index(i, r))); });
      });
}

}  // namespace tessera::ops::records
