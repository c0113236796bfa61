// SPDX-License-Identifier: Apache-2.0
// Repetition.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void tile_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  const Dims repeats = b.dims("repeats");
  b.check(static_cast<int>(repeats.size()) == x.rank(), "{} repeats for rank {}", repeats.size(),
          x.rank());
  Dims shape;
  for (size_t axis = 0; axis < repeats.size(); ++axis)
    shape.push_back(x.shape()[axis] * repeats[axis]);
  b.output(shape, [&](std::span<const Expr> i) {
    Indices source;
    for (size_t axis = 0; axis < repeats.size(); ++axis) {
      const Size& extent = x.shape()[axis];
      source.push_back(extent == Size(1)          ? b.integer(0)
                       : repeats[axis] == Size(1) ? i[axis]
                                                  : ir::mod(i[axis], extent));
    }
    return x(source);
  });
}

void export_tile(OnnxExport& c) {
  const ir::Dims dims = c.attr_dims("repeats");
  c.result(c.emit("Tile", {c.input(0), c.dims(dims)}));
}

}  // namespace

OpDef tile() {
  return {
      .name = "tile",
      .doc = "x repeated repeats[k] times along axis k.",
      .inputs = {{"x"}},
      .attrs = {{.name = "repeats", .kind = ir::AttrKind::dims}},
      .meaning = tile_meaning,
      .onnx = {{.op = "Tile",
                .since = 6,
                .import = [](OnnxImport& c) -> std::vector<Val> {
                  return {c.op("tile", {c.input(0)}, {{"repeats", c.dims(1)}})};
                },
                .export_ = export_tile}},
      .samples = {sample({2, 3}, DType::f32, {{"repeats", ir::Dims{2, 3}}}),
                  sample({1, 3}, DType::i64, {{"repeats", ir::Dims{4, 1}}}),
                  sample({2}, DType::boolean, {{"repeats", ir::Dims{0}}})},
  };
}

}  // namespace tessera::ops::records
