// SPDX-License-Identifier: Apache-2.0
// Convolution whose taps are displaced by offsets and weighed by a mask.
#include <array>

#include "ops/elementwise_form.h"
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

// x(n, c) at the real position (y, x) by bilinear interpolation; zero outside.
Expr deform_sample(MeaningBuilder& b, const TensorArg& x, Expr n, Expr c, Expr at_y, Expr at_x) {
  const DType work = at_y.type();
  const Expr y0 = ir::floor(at_y), x0 = ir::floor(at_x);
  const Expr row = ir::cast(y0, DType::i64), column = ir::cast(x0, DType::i64);
  Expr total = b.literal(0, work);
  for (const int64_t dy : {0, 1})
    for (const int64_t dx : {0, 1}) {
      const Expr i = row + dy, j = column + dx;
      const Expr inside = 0 <= i && i < x.dim(2) && 0 <= j && j < x.dim(3);
      const Expr value = select(inside, ir::cast(x(n, c, i, j), work), b.literal(0, work));
      const Expr weight_y = dy == 0 ? 1 - (at_y - y0) : at_y - y0;
      const Expr weight_x = dx == 0 ? 1 - (at_x - x0) : at_x - x0;
      total = total + weight_y * weight_x * value;
    }
  return total;
}

// Positions are computed in f32, or f64 for f64.
void deform_conv_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), w = b.in(1), offset = b.in(2);
  check_domain(b, b.common_type(), Domain::floats);
  b.check(x.rank() == 4 && w.rank() == 4 && offset.rank() == 4,
          "x, weights and offsets must have rank 4, found {}, {} and {}", x.rank(), w.rank(),
          offset.rank());
  const int64_t group = b.integer("group"), parts = b.integer("offset_group");
  b.check(group >= 1 && parts >= 1, "group = {} and offset_group = {}", group, parts);
  const DType work = x.type() == DType::f64 ? DType::f64 : DType::f32;
  const std::vector<Size> taps{w.dim(2), w.dim(3)};
  const Windows windows = windows_of(b, {x.dim(2), x.dim(3)}, taps);
  const Size kernel = taps[0] * taps[1], inner = w.dim(1);
  b.require_equal(inner * Size(group), x.dim(1), "weights and x differ in channels");
  const Size per_group = sym::floor_div(w.dim(0), group),
             per_part = sym::floor_div(x.dim(1), parts);
  b.require_equal(per_group * Size(group), w.dim(0), "output channels do not divide into groups");
  b.require_equal(per_part * Size(parts), x.dim(1), "channels do not divide into offset groups");
  b.require_equal(offset.dim(1), Size(2 * parts) * kernel,
                  "offsets need two channels for each tap");
  const Dims shape{x.dim(0), w.dim(0), windows.count(0), windows.count(1)};
  for (int axis : {2, 3}) b.require_equal(offset.dim(axis), shape[axis], "offsets do not fit");
  if (b.has(4)) b.require_equal(b.in(4).dim(1), Size(parts) * kernel, "the mask does not fit");
  b.output(shape, [&](std::span<const Expr> i) {
    const std::array<Size, 3> extents{inner, taps[0], taps[1]};
    const Expr sum = b.reduce(ir::Reduction::sum, extents, [&](std::span<const Expr> r) {
      const Expr channel = ir::floor_div(i[1], per_group) * inner + r[0];
      const Expr tap = (ir::floor_div(channel, per_part) * taps[0] + r[1]) * taps[1] + r[2];
      const auto position = [&](int axis) {
        const Expr at = windows.position(axis, i[axis + 2], r[axis + 1]);
        return ir::cast(at, work) + ir::cast(offset(i[0], 2 * tap + axis, i[2], i[3]), work);
      };
      Expr term = deform_sample(b, x, i[0], channel, position(0), position(1));
      term = term * ir::cast(w(i[1], r[0], r[1], r[2]), work);
      return b.has(4) ? term * ir::cast(b.in(4)(i[0], tap, i[2], i[3]), work) : term;
    });
    return ir::cast(b.has(3) ? sum + ir::cast(b.in(3)(i[1]), work) : sum, x.type());
  });
}

std::vector<Val> import_deform_conv(OnnxImport& c) {
  std::vector<Val> inputs;
  for (int k = 0; k < 5; ++k) inputs.push_back(c.has_input(k) ? c.input(k) : Val{});
  return {c.op("deform_conv", inputs,
               {{"group", c.attr_int("group", 1)},
                {"offset_group", c.attr_int("offset_group", 1)},
                {"strides", c.attr_ints("strides", {})},
                {"dilations", c.attr_ints("dilations", {})},
                {"pads", c.attr_ints("pads", {})}})};
}

void export_deform_conv(OnnxExport& c) {
  ir::AttrMap attrs{{"group", *c.attr("group")}, {"offset_group", *c.attr("offset_group")}};
  for (const char* name : {"strides", "dilations", "pads"})
    if (!std::get<std::vector<int64_t>>(*c.attr(name)).empty()) attrs.emplace(name, *c.attr(name));
  c.result(c.emit("DeformConv", export_inputs(c), std::move(attrs)));
}

std::vector<AttrDef> deform_conv_attrs() {
  std::vector<AttrDef> attrs = window_attrs();
  attrs.push_back(int_attr("group", 1));
  attrs.push_back(int_attr("offset_group", 1));
  return attrs;
}

}  // namespace

OpDef deform_conv() {
  return {
      .name = "deform_conv",
      .doc =
          "Convolution of x: [N, C, H, W] whose taps are displaced by the offsets, read by "
          "bilinear interpolation and weighed by the mask (Zhu et al. 2018).",
      .inputs = {{"x"},
                 {"weights"},
                 {"offset"},
                 {.name = "bias", .optional = true},
                 {.name = "mask", .optional = true}},
      .attrs = deform_conv_attrs(),
      .meaning = deform_conv_meaning,
      .onnx = {{.op = "DeformConv",
                .since = 19,
                .import = import_deform_conv,
                .export_ = export_deform_conv}},
      .samples = {sample({{1, 2, 3, 3}, {2, 2, 2, 2}, {1, 8, 2, 2}, {2}, {1, 4, 2, 2}}),
                  sample({{1, 2, 3, 3}, {2, 1, 2, 2}, {1, 16, 2, 2}},
                         {{"group", int64_t{2}}, {"offset_group", int64_t{2}}})},
  };
}

}  // namespace tessera::ops::records
