// SPDX-License-Identifier: Apache-2.0
// Product over axes.
#include "ops/reduce_form.h"

namespace tessera::ops::records {

OpDef reduce_prod() {
  return reduction_record(
      "reduce_prod", "Product over `axes`.", "ReduceProd", 18,
      [](MeaningBuilder& b, const TensorArg& x, const ReducedAxes& axes, std::span<const Expr> i) {
        return b.reduce(ir::Reduction::prod, axes.extents,
                        [&](auto r) { return x(axes.index(i, r)); });
      });
}

}  // namespace tessera::ops::records
