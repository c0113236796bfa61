// SPDX-License-Identifier: Apache-2.0
// Maximum over axes, which is also global maximum pooling.
#include "ops/reduce_form.h"

namespace tessera::ops::records {

namespace {

std::vector<Val> import_global_max_pool(OnnxImport& c) {
  const Val x = c.input(0);
  std::vector<int64_t> axes;
  for (int axis = 2; axis < x.rank(); ++axis) axes.push_back(axis);
  if (axes.empty()) c.fail("x must have rank 3 or more");
  return {reduce("reduce_max", x, axes)};
}

}  // namespace

OpDef reduce_max() {
  OpDef def = reduction_record(
      "reduce_max", "Maximum over `axes`; −∞ over nothing.", "ReduceMax", 18,
      [](MeaningBuilder& b, const TensorArg& x, const ReducedAxes& axes, std::span<const Expr> i) {
        return b.reduce(ir::Reduction::max, axes.extents,
                        [&](auto r) { return x(axes.index(i, r)); });
      });
  def.onnx.push_back({.op = "GlobalMaxPool", .import = import_global_max_pool});
  return def;
}

}  // namespace tessera::ops::records
