// SPDX-License-Identifier: Apache-2.0
// Normalization of every channel of every image by its own statistics.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_instance_normalization(Decomposition& d) {
  const Val x = d.in(0);
  d.check(x.rank() >= 3, "x must have rank 3 or more, found {}", x.rank());
  std::vector<int64_t> axes;
  ir::Dims channel{x.dim(1)};
  for (int axis = 2; axis < x.rank(); ++axis) {
    axes.push_back(axis);
    channel.push_back(1);
  }
  const DType work = x.dtype() == DType::f64 ? DType::f64 : DType::f32;
  const Val wide = cast(x, work);
  const Val centred = wide - reduce("reduce_mean", wide, axes);
  const Val variance = reduce("reduce_mean", centred * centred, axes);
  const auto parameter = [&](int k) { return cast(reshape(d.in(k), channel), work); };
  const Val y = centred / sqrt(variance + d.real("epsilon")) * parameter(1) + parameter(2);
  return {cast(y, x.dtype())};
}

}  // namespace

OpDef instance_normalization() {
  return {
      .name = "instance_normalization",
      .doc = "(x − mean) / √(variance + epsilon) · scale + bias over the spatial axes.",
      .inputs = {{"x"}, {"scale"}, {"bias"}},
      .attrs = {{.name = "epsilon", .kind = ir::AttrKind::real, .default_value = 1e-5}},
      .decompose = decompose_instance_normalization,
      .onnx = {{.op = "InstanceNormalization", .since = 6}},
      .samples = {sample({{2, 3, 4, 5}, {3}, {3}})},
  };
}

}  // namespace tessera::ops::records
