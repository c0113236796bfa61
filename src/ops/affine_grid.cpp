// SPDX-License-Identifier: Apache-2.0
// Sampling positions of an affine map.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

// The centre of pixel i of n in [-1, 1]; with aligned corners -1 and 1 are the outermost centres.
Expr affine_grid_coordinate(MeaningBuilder& b, Expr i, const Size& n, bool aligned, DType type) {
  const auto real = [&](Expr e) { return ir::cast(e, type); };
  if (!aligned) return (2 * real(i) + 1) / real(b.size(n)) - 1;
  return 2 * real(i) / real(b.size(sym::max(n - Size(1), 1))) - 1;
}

void affine_grid_meaning(MeaningBuilder& b) {
  const TensorArg theta = b.in(0);
  check_domain(b, theta.type(), Domain::floats);
  const Dims size = b.dims("size");
  b.check(size.size() == 4 || size.size() == 5, "size must be [N, C, (D,) H, W], found {} extents",
          size.size());
  const int axes = static_cast<int>(size.size()) - 2;
  b.check(theta.rank() == 3, "theta must have rank 3, found {}", theta.rank());
  b.require_equal(theta.dim(0), size[0], "theta and size differ in N");
  b.require_equal(theta.dim(1), axes, "theta has the wrong number of rows");
  b.require_equal(theta.dim(2), axes + 1, "theta has the wrong number of columns");
  const bool aligned = b.flag("align_corners");
  Dims shape(size);
  shape.erase(shape.begin() + 1);
  shape.push_back(axes);
  b.output(shape, [&](std::span<const Expr> i) {
    const Expr row = i[axes + 1];
    Expr position = theta(i[0], row, b.integer(axes));
    // Column k of theta belongs to x, y, z, which are the axes from the last one back.
    for (int k = 0; k < axes; ++k) {
      const Expr at =
          affine_grid_coordinate(b, i[axes - k], size[axes + 1 - k], aligned, theta.type());
      position = position + theta(i[0], row, b.integer(k)) * at;
    }
    return position;
  });
}

void export_affine_grid(OnnxExport& c) {
  const ir::Dims size = c.attr_dims("size");
  c.result(c.emit("AffineGrid", {c.input(0), c.dims(size)},
                  {{"align_corners", *c.attr("align_corners")}}));
}

}  // namespace

OpDef affine_grid() {
  return {
      .name = "affine_grid",
      .doc =
          "For every pixel of an image of `size` the position, in [−1, 1], to which the affine "
          "maps theta: [N, 2, 3] or [N, 3, 4] take its centre.",
      .inputs = {{"theta"}},
      .attrs = {{.name = "size", .kind = ir::AttrKind::dims}, int_attr("align_corners", 0)},
      .meaning = affine_grid_meaning,
      .onnx = {{.op = "AffineGrid",
                .since = 20,
                .import = [](OnnxImport& c) -> std::vector<Val> {
                  return {c.op(
                      "affine_grid", {c.input(0)},
                      {{"size", c.dims(1)}, {"align_corners", c.attr_int("align_corners", 0)}})};
                },
                .export_ = export_affine_grid}},
      .samples = {sample({2, 2, 3}, DType::f32, {{"size", ir::Dims{2, 3, 4, 5}}}),
                  sample({1, 3, 4}, DType::f32,
                         {{"size", ir::Dims{1, 1, 2, 3, 4}}, {"align_corners", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
