// SPDX-License-Identifier: Apache-2.0
// Insertion of axes of extent 1.
#include <algorithm>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void unsqueeze_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  const int rank = x.rank() + static_cast<int>(b.integers("axes").size());
  const std::vector<int> axes = b.axes("axes", rank);
  Dims shape;
  std::vector<int> kept;
  for (int axis = 0; axis < rank; ++axis) {
    const bool added = std::find(axes.begin(), axes.end(), axis) != axes.end();
    shape.push_back(added ? Size(1) : x.dim(static_cast<int>(kept.size())));
    if (!added) kept.push_back(axis);
  }
  b.output(shape, [&](std::span<const Expr> i) {
    Indices source;
    for (const int axis : kept) source.push_back(i[axis]);
    return x(source);
  });
}

void export_unsqueeze(OnnxExport& c) {
  const auto& axes = std::get<std::vector<int64_t>>(*c.attr("axes"));
  if (c.opset() < 13) c.result(c.emit("Unsqueeze", {c.input(0)}, {{"axes", axes}}));
  else c.result(c.emit("Unsqueeze", {c.input(0), c.dims({axes.begin(), axes.end()})}));
}

}  // namespace

OpDef unsqueeze() {
  return {
      .name = "unsqueeze",
      .doc = "x with axes of extent 1 inserted, so that they are `axes` of the result.",
      .inputs = {{"x"}},
      .attrs = {{.name = "axes", .kind = ir::AttrKind::integers}},
      .meaning = unsqueeze_meaning,
      .onnx = {{.op = "Unsqueeze",
                .import = [](OnnxImport& c) -> std::vector<Val> {
                  return {unsqueeze(c.input(0), c.attr_ints("axes", {}))};
                },
                .export_ = export_unsqueeze},
               {.op = "Unsqueeze",
                .since = 13,
                .import = [](OnnxImport& c) -> std::vector<Val> {
                  return {unsqueeze(c.input(0), c.integers(1))};
                },
                .export_ = export_unsqueeze}},
      .samples = {sample({3, 5}, DType::f32, {{"axes", std::vector<int64_t>{0, -1}}}),
                  sample({}, DType::i64, {{"axes", std::vector<int64_t>{0}}})},
  };
}

}  // namespace tessera::ops::records
