// SPDX-License-Identifier: Apache-2.0
// Sum over axes.
#include "ops/reduce_form.h"

namespace tessera::ops::records {

OpDef reduce_sum() {
  return reduction_record(
      "reduce_sum", "Sum over `axes`.", "ReduceSum", 13,
      [](MeaningBuilder& b, const TensorArg& x, const ReducedAxes& axes, std::span<const Expr> i) {
        return b.reduce(ir::Reduction::sum, axes.extents,
                        [&](auto r) { return x(axes.index(i, r)); });
      });
}

}  // namespace tessera::ops::records
