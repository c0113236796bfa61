// SPDX-License-Identifier: Apache-2.0
// Matrix product of quantized operands to a quantized result.
#include "ops/quantize_form.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_qlinear_matmul(Decomposition& d) {
  const Val product = d.op("matmul_integer", {d.in(0), d.in(3), d.in(2), d.in(5)});
  const auto scale = [&](int k) { return cast(d.in(k), DType::f32); };
  const Val rows = d.in(0).rank() >= 2 ? along_axis(scale(1), 1) : scale(1);
  return {requantize(d, cast(product, DType::f32) * (rows * scale(4) / scale(6)), d.in(7))};
}

}  // namespace

OpDef qlinear_matmul() {
  const ir::ValueType x{DType::u8, {3, 4}}, y{DType::u8, {4, 2}}, s{DType::f32, {}},
      z{DType::u8, {}};
  return {
      .name = "qlinear_matmul",
      .doc = "Matrix product of dequantized operands, quantized again; sums are exact in i32.",
      .inputs = {{"x"},
                 {"x_scale"},
                 {"x_zero_point"},
                 {"y"},
                 {"y_scale"},
                 {"y_zero_point"},
                 {"scale"},
                 {"zero_point"}},
      .decompose = decompose_qlinear_matmul,
      .onnx = {{.op = "QLinearMatMul", .since = 10}},
      .samples = {{{x, s, z, y, s, z, s, z}}},
  };
}

}  // namespace tessera::ops::records
