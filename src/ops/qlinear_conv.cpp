// SPDX-License-Identifier: Apache-2.0
// Convolution of quantized operands to a quantized result.
#include "ops/pool_form.h"
#include "ops/quantize_form.h"

namespace tessera::ops::records {
namespace {

// The bias is in units of x_scale · w_scale, so it joins the exact i32 sum.
std::vector<Val> decompose_qlinear_conv(Decomposition& d) {
  const Val x = cast(d.in(0), DType::i32) - cast(d.in(2), DType::i32);
  const Val w0 = cast(d.in(3), DType::i32);
  const Val w = w0 - cast(along_axis(d.in(5), w0.rank() - 1), DType::i32);
  std::vector<Val> operands{x, w};
  if (d.has(8)) operands.push_back(d.in(8));
  const Val sums = cast(d.op("conv", operands, d.attrs()), DType::f32);
  const auto scale = [&](int k) { return cast(d.in(k), DType::f32); };
  const Val channels = along_axis(scale(4), w0.rank() - 2);
  return {requantize(d, sums * (scale(1) * channels / scale(6)), d.in(7))};
}

std::vector<Val> import_qlinear_conv(OnnxImport& c) {
  return {c.op("qlinear_conv", all_inputs(c), import_convolution(c, 3))};
}

}  // namespace

OpDef qlinear_conv() {
  std::vector<AttrDef> attrs = window_attrs();
  attrs.push_back({.name = "group", .default_value = int64_t{1}});
  const ir::ValueType x{DType::u8, {1, 2, 4, 4}}, w{DType::i8, {3, 2, 2, 2}}, s{DType::f32, {}},
      z{DType::u8, {}}, zw{DType::i8, {}};
  return {
      .name = "qlinear_conv",
      .doc = "Convolution of dequantized operands, quantized again; sums are exact in i32.",
      .inputs = {{"x"},
                 {"x_scale"},
                 {"x_zero_point"},
                 {"w"},
                 {"w_scale"},
                 {"w_zero_point"},
                 {"scale"},
                 {"zero_point"},
                 {"bias", true}},
      .attrs = attrs,
      .decompose = decompose_qlinear_conv,
      .onnx = {{.op = "QLinearConv",
                .since = 10,
                .import = import_qlinear_conv,
                .export_ = [](OnnxExport& c) { export_as(c, "QLinearConv"); }}},
      .samples = {{{x, s, z, w, s, zw, s, z}},
                  {{x, s, z, w, {DType::f32, {3}}, {DType::i8, {3}}, s, z, {DType::i32, {3}}}}},
  };
}

}  // namespace tessera::ops::records
