// SPDX-License-Identifier: Apache-2.0
// Convolution of quantized integers.
#include "ops/pool_form.h"
#include "ops/quantize_form.h"

namespace tessera::ops::records {
namespace {

// Padding stands for the zero point: it is 0 after the subtraction.
std::vector<Val> decompose_conv_integer(Decomposition& d) {
  Val x = cast(d.in(0), DType::i32), w = cast(d.in(1), DType::i32);
  if (d.has(2)) x = x - cast(d.in(2), DType::i32);
  if (d.has(3)) w = w - cast(along_axis(d.in(3), w.rank() - 1), DType::i32);
  return {d.op("conv", {x, w}, d.attrs())};
}

std::vector<Val> import_conv_integer(OnnxImport& c) {
  const ir::Dims x = c.input(0).shape(), w = c.input(1).shape();
  if (x.size() < 3 || w.size() != x.size()) c.fail("operands need the same rank of 3 or more");
  std::vector<int64_t> kernel;
  for (size_t axis = 2; axis < w.size(); ++axis) {
    const auto extent = w[axis].constant();
    if (!extent) c.unsupported("weights of symbolic kernel size");
    kernel.push_back(*extent);
  }
  ir::AttrMap attrs = import_windows(c, {x.begin() + 2, x.end()}, kernel);
  if (const int64_t group = c.attr_int("group", 1); group != 1) attrs.emplace("group", group);
  std::vector<Val> inputs;
  for (int k = 0; k < c.input_count(); ++k) inputs.push_back(c.input(k));
  return {c.op("conv_integer", inputs, attrs)};
}

}  // namespace

OpDef conv_integer() {
  std::vector<AttrDef> attrs = window_attrs();
  attrs.push_back({.name = "group", .default_value = int64_t{1}});
  const ir::ValueType x{DType::u8, {1, 2, 4, 4}}, w{DType::u8, {3, 2, 2, 2}}, z{DType::u8, {}};
  return {
      .name = "conv_integer",
      .doc = "Convolution of (x − x_zero_point) with (w − w_zero_point) in i32.",
      .inputs = {{"x"}, {"w"}, {"x_zero_point", true}, {"w_zero_point", true}},
      .attrs = attrs,
      .decompose = decompose_conv_integer,
      .onnx = {{.op = "ConvInteger",
                .since = 10,
                .import = import_conv_integer,
                .export_ = [](OnnxExport& c) { export_as(c, "ConvInteger"); }}},
      .samples = {{{x, w}}, {{x, w, z, {DType::u8, {3}}}}},
  };
}

}  // namespace tessera::ops::records
