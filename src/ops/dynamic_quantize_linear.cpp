// SPDX-License-Identifier: Apache-2.0
// Quantization to u8 with a scale taken from the data.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// The range always holds 0, so that 0 is exact; a range of nothing but 0 has scale 1 / 255.
std::vector<Val> decompose_dynamic_quantize_linear(Decomposition& d) {
  const Val x = d.in(0);
  const Val zero = d.scalar(0, x.dtype()), most = d.scalar(255, x.dtype());
  const Val high = d.op("max", {reduce("reduce_max", x, {}, false), zero});
  const Val low = d.op("min", {reduce("reduce_min", x, {}, false), zero});
  const Val span = where(d.op("equal", {high, low}), d.scalar(1, x.dtype()), high - low);
  const Val scale = span / most;
  const Val offset = d.op("min", {d.op("max", {-(low / scale), zero}), most});
  const Val zero_point = cast(d.op("round", {offset}), DType::u8);
  return {d.op("quantize_linear", {x, scale, zero_point}), scale, zero_point};
}

}  // namespace

OpDef dynamic_quantize_linear() {
  return {
      .name = "dynamic_quantize_linear",
      .doc = "x as u8 over its range joined with 0; also the scale and the zero point.",
      .inputs = {{"x"}},
      .decompose = decompose_dynamic_quantize_linear,
      .onnx = {{.op = "DynamicQuantizeLinear", .since = 11}},
      .samples = {sample({3, 5})},
  };
}

}  // namespace tessera::ops::records
