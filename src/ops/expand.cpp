// SPDX-License-Identifier: Apache-2.0
// Broadcasting to a given shape.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void expand_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  const Dims shape = b.dims("shape");
  b.check(x.shape().size() <= shape.size(), "cannot expand rank {} to rank {}", x.rank(),
          shape.size());
  const size_t skip = shape.size() - x.shape().size();
  for (size_t axis = 0; axis < x.shape().size(); ++axis)
    if (x.shape()[axis] != Size(1))
      b.require_equal(x.shape()[axis], shape[skip + axis], "an axis does not expand");
  b.output(shape, [&](std::span<const Expr> i) { return x.broadcast_at(i); });
}

// ONNX broadcasts both ways: an extent of 1 in the shape keeps that of the input.
std::vector<Val> import_expand(OnnxImport& c) {
  const Val x = c.input(0);
  ir::Dims shape = c.dims(1);
  const ir::Dims from = x.shape();
  while (shape.size() < from.size()) shape.insert(shape.begin(), 1);
  const size_t skip = shape.size() - from.size();
  for (size_t axis = 0; axis < from.size(); ++axis)
    if (shape[skip + axis] == sym::Expr(1)) shape[skip + axis] = from[axis];
  return {expand(x, shape)};
}

void export_expand(OnnxExport& c) {
  const ir::Dims shape = c.attr_dims("shape");
  c.result(c.emit("Expand", {c.input(0), c.dims(shape)}));
}

std::vector<Val> import_constant_of_shape(OnnxImport& c) {
  const auto given = c.attr_tensor("value");
  Tensor value = given ? *given : Tensor(DType::f32, {1});
  if (value.size() != 1) c.fail("value must hold one element");
  return {expand(c.builder().constant(value.reshaped({})), c.dims(0))};
}

}  // namespace

OpDef expand() {
  return {
      .name = "expand",
      .doc = "x broadcast to `shape`: axes align at the end, extents of 1 are repeated.",
      .inputs = {{"x"}},
      .attrs = {{.name = "shape", .kind = ir::AttrKind::dims}},
      .meaning = expand_meaning,
      .onnx = {{.op = "Expand", .since = 8, .import = import_expand, .export_ = export_expand},
               {.op = "ConstantOfShape", .since = 9, .import = import_constant_of_shape}},
      .samples = {sample({3, 1}, DType::f32, {{"shape", ir::Dims{2, 3, 4}}}),
                  sample({}, DType::i64, {{"shape", ir::Dims{2, 2}}}),
                  sample({1, 4}, DType::boolean, {{"shape", ir::Dims{0, 4}}})},
  };
}

}  // namespace tessera::ops::records
