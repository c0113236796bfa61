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
  return {c.op("conv_integer", all_inputs(c), import_convolution(c, 1))};
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
