// SPDX-License-Identifier: Apache-2.0
// Softmax along one axis.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_softmax(Decomposition& d) {
  const Val x = d.in(0);
  const int64_t axis = d.axis("axis", x.rank());
  const Val e = ops::exp(x - reduce("reduce_max", x, {axis}));
  return {e / reduce("reduce_sum", e, {axis})};
}

// Before operator set 13, softmax ran over all axes from `axis` on, flattened.
std::vector<Val> import_softmax_1(OnnxImport& c) {
  const Val x = c.input(0);
  const int axis = normalize_axis(c.attr_int("axis", 1), std::max(1, x.rank()), "Softmax: axis");
  const ir::Dims shape = x.shape();
  const ir::Dims outer(shape.begin(), shape.begin() + axis),
      inner(shape.begin() + axis, shape.end());
  const Val flat = reshape(x, {sym::product(outer), sym::product(inner)});
  return {reshape(c.op("softmax", {flat}, {{"axis", int64_t{1}}}), shape)};
}

}  // namespace

OpDef softmax() {
  return {
      .name = "softmax",
      .doc = "exp(x − max) / Σ exp(x − max) along `axis`.",
      .inputs = {{"x"}},
      .attrs = {{.name = "axis", .default_value = int64_t{-1}}},
      .decompose = decompose_softmax,
      .onnx = {{.op = "Softmax", .since = 1, .import = import_softmax_1},
               {.op = "Softmax", .since = 13}},
      .samples = {sample({3, 5}), sample({2, 3, 4}, DType::f32, {{"axis", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
