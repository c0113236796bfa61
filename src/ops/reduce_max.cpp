// SPDX-License-Identifier: Apache-2.0
// Maximum over axes.
#include "ops/reduce_form.h"

namespace tessera::ops::records {

OpDef reduce_max() {
  return reduction_record(
      "reduce_max", "Maximum over `axes`; −∞ over nothing.", "ReduceMax", 18,
      [](MeaningBuilder& b, const TensorArg& x, const ReducedAxes& axes, std::span<const Expr> i) {
        return b.reduce(ir::Reduction::max, axes.extents,
                        [&](auto r) { return x(axes.index(i, r)); });
      });
}

}  // namespace tessera::ops::records
