// SPDX-License-Identifier: Apache-2.0
// Mean over axes, which is also global average pooling.
#include "ops/reduce_form.h"

namespace tessera::ops::records {
namespace {

Expr reduce_mean_body(MeaningBuilder& b, const TensorArg& x, const ReducedAxes& axes,
                      std::span<const Expr> i) {
  const bool narrow = x.type() == DType::f16 || x.type() == DType::bf16;
  const Expr total = b.reduce(ir::Reduction::sum, axes.extents, [&](auto r) {
    const Expr element = x(axes.index(i, r));
    return narrow ? cast(element, DType::f32) : element;
  });
  return cast(total / sym::product(axes.extents), x.type());
}

// Every axis after the channels.
std::vector<Val> import_global_average_pool(OnnxImport& c) {
  const Val x = c.input(0);
  std::vector<int64_t> axes;
  for (int axis = 2; axis < x.rank(); ++axis) axes.push_back(axis);
  if (axes.empty()) c.fail("x must have rank 3 or more");
  return {reduce("reduce_mean", x, axes)};
}

}  // namespace

OpDef reduce_mean() {
  OpDef def = reduction_record("reduce_mean", "Mean over `axes`; integers round toward zero.",
                               "ReduceMean", 18, reduce_mean_body);
  def.onnx.push_back({.op = "GlobalAveragePool", .import = import_global_average_pool});
  return def;
}

}  // namespace tessera::ops::records
