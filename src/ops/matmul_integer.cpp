// SPDX-License-Identifier: Apache-2.0
// Matrix product of quantized integers.
#include "ops/quantize_form.h"

namespace tessera::ops::records {
namespace {

// A zero point of x belongs to rows, one of y to columns.
std::vector<Val> decompose_matmul_integer(Decomposition& d) {
  Val x = cast(d.in(0), DType::i32), y = cast(d.in(1), DType::i32);
  if (d.has(2)) x = x - cast(x.rank() >= 2 ? along_axis(d.in(2), 1) : d.in(2), DType::i32);
  if (d.has(3)) y = y - cast(d.in(3), DType::i32);
  return {matmul(x, y)};
}

}  // namespace

OpDef matmul_integer() {
  const ir::ValueType x{DType::u8, {3, 4}}, y{DType::i8, {4, 2}};
  return {
      .name = "matmul_integer",
      .doc = "(x − x_zero_point) · (y − y_zero_point) in i32.",
      .inputs = {{"x"}, {"y"}, {"x_zero_point", true}, {"y_zero_point", true}},
      .decompose = decompose_matmul_integer,
      .onnx = {{.op = "MatMulInteger", .since = 10}},
      .samples = {{{x, y}}, {{x, y, {DType::u8, {3}}, {DType::i8, {2}}}}},
  };
}

}  // namespace tessera::ops::records
