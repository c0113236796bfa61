// SPDX-License-Identifier: Apache-2.0
// One at the first maximum along an axis, zero elsewhere.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_hardmax(Decomposition& d) {
  const Val x = d.in(0);
  const int axis = d.axis("axis", x.rank());
  const Val most = d.op("arg_max", {x}, {{"axis", int64_t{axis}}});
  ir::Dims shape(static_cast<size_t>(x.rank()), sym::Expr(1));
  shape[static_cast<size_t>(axis)] = x.dim(axis);
  const Val index = reshape(d.op("iota", {}, {{"length", ir::Dims{x.dim(axis)}}}), shape);
  return {cast(d.op("equal", {index, most}), x.dtype())};
}

// Before operator set 13 it ran over all axes from `axis` on, flattened.
std::vector<Val> import_hardmax_1(OnnxImport& c) {
  const Val x = c.input(0);
  const int axis = normalize_axis(c.attr_int("axis", 1), std::max(1, x.rank()), "Hardmax: axis");
  const ir::Dims shape = x.shape();
  const ir::Dims outer(shape.begin(), shape.begin() + axis),
      inner(shape.begin() + axis, shape.end());
  const Val flat = reshape(x, {sym::product(outer), sym::product(inner)});
  return {reshape(c.op("hardmax", {flat}, {{"axis", int64_t{1}}}), shape)};
}

}  // namespace

OpDef hardmax() {
  return {
      .name = "hardmax",
      .doc = "1 at the first maximum along `axis`, 0 elsewhere.",
      .inputs = {{"x"}},
      .attrs = {{.name = "axis", .default_value = int64_t{-1}}},
      .decompose = decompose_hardmax,
      .onnx = {{.op = "Hardmax", .import = import_hardmax_1}, {.op = "Hardmax", .since = 13}},
      .samples = {sample({3, 5}), sample({2, 3, 4}, DType::f32, {{"axis", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
