// SPDX-License-Identifier: Apache-2.0
// Consecutive parts along an axis.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void split_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  const int axis = b.axis("axis", x.rank());
  const Dims sizes = b.dims("sizes");
  b.check(!sizes.empty(), "sizes are empty");
  Size total(0);
  for (const Size& size : sizes) total = total + size;
  b.require_equal(total, x.dim(axis), "sizes do not add up to the axis");
  Size begin(0);
  for (const Size& size : sizes) {
    Dims shape = x.shape();
    shape[axis] = size;
    b.output(shape, [&](std::span<const Expr> i) {
      Indices source(i.begin(), i.end());
      source[axis] = source[axis] + begin;
      return x(source);
    });
    begin = begin + size;
  }
}

// `sizes` empty: as many equal parts as the node has outputs. From operator set 18 on the last part
// is smaller when the axis does not divide.
std::vector<Val> import_split(OnnxImport& c, ir::Dims sizes, int parts) {
  const Val x = c.input(0);
  const int64_t axis = c.attr_int("axis", 0);
  if (sizes.empty()) {
    if (parts < 1) c.fail("a split into no parts");
    const sym::Expr extent = x.dim(normalize_axis(axis, x.rank(), "Split: axis"));
    const bool uneven = c.opset() >= 18;
    const sym::Expr chunk = uneven ? sym::ceil_div(extent, parts) : sym::floor_div(extent, parts);
    sizes.assign(parts, chunk);
    const sym::Expr rest = extent - chunk * sym::Expr(parts - 1);
    if (uneven) sizes.back() = rest;
    if (rest.is_constant() && rest.constant_part() < 0)
      c.fail("an axis of " + extent.to_string() + " has fewer elements than the parts need");
  }
  return c.builder().op_n("split", {x}, {{"axis", axis}, {"sizes", sizes}});
}

std::vector<Val> import_split_2(OnnxImport& c) {
  const auto sizes = c.attr_ints("split", {});
  return import_split(c, {sizes.begin(), sizes.end()}, c.output_count());
}

std::vector<Val> import_split_13(OnnxImport& c) {
  if (c.has_input(1)) return import_split(c, c.dims(1), 0);
  if (c.attr_int("num_outputs", c.output_count()) != c.output_count())
    c.fail("num_outputs differs from the number of outputs");
  return import_split(c, {}, c.output_count());
}

void export_split(OnnxExport& c) {
  const ir::Dims sizes = c.attr_dims("sizes");
  const int count = static_cast<int>(sizes.size());
  ir::AttrMap attrs{{"axis", *c.attr("axis")}};
  if (c.opset() >= 13)
    return c.result(c.emit("Split", {c.input(0), c.dims(sizes)}, std::move(attrs), count));
  const auto known = sym::constants(sizes);
  if (!known) c.unsupported("symbolic sizes need operator set 13");
  attrs.emplace("split", *known);
  c.result(c.emit("Split", {c.input(0)}, std::move(attrs), count));
}

}  // namespace

OpDef split() {
  return {
      .name = "split",
      .doc = "Consecutive parts of x along `axis`; part k has extent sizes[k].",
      .inputs = {{"x"}},
      .attrs = {{.name = "axis", .default_value = int64_t{0}},
                {.name = "sizes", .kind = ir::AttrKind::dims}},
      .meaning = split_meaning,
      .onnx = {{.op = "Split", .since = 2, .import = import_split_2, .export_ = export_split},
               {.op = "Split", .since = 13, .import = import_split_13, .export_ = export_split}},
      .samples = {sample({6, 2}, DType::f32, {{"sizes", ir::Dims{1, 5}}}),
                  sample({2, 6}, DType::i32, {{"axis", int64_t{-1}}, {"sizes", ir::Dims{2, 2, 2}}}),
                  sample({3}, DType::f32, {{"sizes", ir::Dims{0, 3}}})},
  };
}

}  // namespace tessera::ops::records
