// SPDX-License-Identifier: Apache-2.0
// Logarithm of softmax along one axis.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_log_softmax(Decomposition& d) {
  const Val x = d.in(0);
  const int64_t axis = d.axis("axis", x.rank());
  const Val shifted = x - reduce("reduce_max", x, {axis});
  return {shifted - log(reduce("reduce_sum", exp(shifted), {axis}))};
}

// Before operator set 13 it ran over all axes from `axis` on, flattened.
std::vector<Val> import_log_softmax_1(OnnxImport& c) {
  const Val x = c.input(0);
  const int axis = normalize_axis(c.attr_int("axis", 1), std::max(1, x.rank()), "LogSoftmax: axis");
  const ir::Dims shape = x.shape();
  const ir::Dims outer(shape.begin(), shape.begin() + axis),
      inner(shape.begin() + axis, shape.end());
  const Val flat = reshape(x, {sym::product(outer), sym::product(inner)});
  return {reshape(c.op("log_softmax", {flat}, {{"axis", int64_t{1}}}), shape)};
}

}  // namespace

OpDef log_softmax() {
  return {
      .name = "log_softmax",
      .doc = "x − max − log Σ exp(x − max) along `axis`.",
      .inputs = {{"x"}},
      .attrs = {{.name = "axis", .default_value = int64_t{-1}}},
      .decompose = decompose_log_softmax,
      .onnx = {{.op = "LogSoftmax", .since = 1, .import = import_log_softmax_1},
               {.op = "LogSoftmax", .since = 13}},
      .samples = {sample({3, 5}), sample({2, 3, 4}, DType::f32, {{"axis", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
