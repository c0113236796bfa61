// SPDX-License-Identifier: Apache-2.0
// Minimum over axes.
#include "ops/reduce_form.h"

namespace tessera::ops::records {

OpDef reduce_min() {
  return reduction_record(
      "reduce_min", "Minimum over `axes`; NaN if any element is NaN.", "ReduceMin", 18,
      [](MeaningBuilder& b, const TensorArg& x, const ReducedAxes& axes, std::span<const Expr> i) {
        return b.reduce(ir::Reduction::min, axes.extents,
                        [&](auto r) { return x(axes.index(i, r)); });
      });
}

}  // namespace tessera::ops::records
