// SPDX-License-Identifier: Apache-2.0
// Columns of blocks added up to an image.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

// A pixel is covered by element k of block l where l * stride + k * dilation - pad is its position.
void col2im_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  const Dims image = b.dims("image_shape");
  const std::vector<int64_t> block = b.integers("block_shape");
  b.check(x.rank() == 3, "x must be [N, C·block, blocks], found rank {}", x.rank());
  b.check(!image.empty() && image.size() == block.size(), "an image of {} axes and blocks of {}",
          image.size(), block.size());
  const std::vector<Size> kernel(block.begin(), block.end());
  const Windows w = windows_of(b, image, kernel);
  const std::vector<Size> counts = w.counts();
  const Size elements = sym::product(kernel);
  b.check(elements.constant_part() >= 1, "block_shape is empty");
  const Size channels = sym::floor_div(x.dim(1), elements);
  b.require_equal(channels * elements, x.dim(1), "the channels are no multiple of the block");
  b.require_equal(sym::product(counts), x.dim(2), "the number of blocks does not fit the image");
  Dims shape{x.dim(0), channels};
  shape.insert(shape.end(), image.begin(), image.end());
  b.output(shape, [&](std::span<const Expr> i) {
    return b.reduce(ir::Reduction::sum, kernel, [&](std::span<const Expr> k) {
      Expr inside = b.literal(1, DType::boolean), row = i[1], column = b.integer(0);
      for (int a = 0; a < w.rank(); ++a) {
        const Expr at = i[a + 2] + w.begin[a] - k[a] * w.dilations[a];
        const Expr which = ir::floor_div(at, w.strides[a]);
        inside = inside && 0 <= at && ir::eq(ir::mod(at, w.strides[a]), 0) && which < counts[a];
        row = row * kernel[a] + k[a];
        column = column * counts[a] + which;
      }
      return select(inside, x(i[0], row, column), b.literal(0, x.type()));
    });
  });
}

std::vector<Val> import_col2im(OnnxImport& c) {
  return {c.op("col2im", {c.input(0)},
               {{"image_shape", c.dims(1)},
                {"block_shape", c.integers(2)},
                {"strides", c.attr_ints("strides", {})},
                {"dilations", c.attr_ints("dilations", {})},
                {"pads", c.attr_ints("pads", {})}})};
}

void export_col2im(OnnxExport& c) {
  const auto& block = std::get<std::vector<int64_t>>(*c.attr("block_shape"));
  const auto size = static_cast<int64_t>(block.size());
  ir::AttrMap attrs;
  for (const char* name : {"strides", "dilations", "pads"})
    if (!std::get<std::vector<int64_t>>(*c.attr(name)).empty()) attrs.emplace(name, *c.attr(name));
  c.result(c.emit("Col2Im",
                  {c.input(0), c.dims(c.attr_dims("image_shape")),
                   c.constant(Tensor::from_integers(block, {size}))},
                  std::move(attrs)));
}

std::vector<AttrDef> col2im_attrs() {
  std::vector<AttrDef> attrs = window_attrs();
  attrs.push_back({.name = "image_shape", .kind = ir::AttrKind::dims});
  attrs.push_back({.name = "block_shape", .kind = ir::AttrKind::integers});
  return attrs;
}

}  // namespace

OpDef col2im() {
  const auto ints = [](std::vector<int64_t> v) { return v; };
  return {
      .name = "col2im",
      .doc = "The image to which the blocks in the columns of x add up.",
      .inputs = {{"x"}},
      .attrs = col2im_attrs(),
      .meaning = col2im_meaning,
      .onnx = {{.op = "Col2Im", .since = 18, .import = import_col2im, .export_ = export_col2im}},
      .samples = {sample({1, 5, 5}, DType::f32,
                         {{"image_shape", ir::Dims{5, 5}}, {"block_shape", ints({1, 5})}}),
                  sample({1, 8, 4}, DType::f32,
                         {{"image_shape", ir::Dims{3, 3}},
                          {"block_shape", ints({2, 2})},
                          {"strides", ints({2, 2})},
                          {"pads", ints({1, 0, 0, 1})}})},
  };
}

}  // namespace tessera::ops::records
