// SPDX-License-Identifier: Apache-2.0
// Powers.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

// The result has the base's type; a float exponent of an integer base is computed in f64.
Expr power(Expr x, Expr y) {
  if (x.type() == y.type()) return ir::pow(x, y);
  if (is_float(x.type()) && is_float(y.type())) {
    const DType wide = size_of(y.type()) > size_of(x.type()) ? y.type() : DType::f32;
    const DType type = x.type() == DType::f64 ? DType::f64 : wide;
    return ir::cast(ir::pow(ir::cast(x, type), ir::cast(y, type)), x.type());
  }
  if (is_float(x.type())) return ir::pow(x, ir::cast(y, x.type()));
  const DType type = is_float(y.type()) ? DType::f64 : DType::i64;
  return ir::cast(ir::pow(ir::cast(x, type), ir::cast(y, type)), x.type());
}

void pow_meaning(MeaningBuilder& b) {
  check_domain(b, b.in(0).type(), Domain::numbers);
  check_domain(b, b.in(1).type(), Domain::numbers);
  b.output(broadcast_inputs(b), [&](std::span<const Expr> i) {
    return power(b.in(0).broadcast_at(i), b.in(1).broadcast_at(i));
  });
}

}  // namespace

OpDef pow() {
  return {
      .name = "pow",
      .doc = "x to the power y in the type of x, elementwise under NumPy broadcasting.",
      .inputs = {{"x"}, {"y"}},
      .meaning = pow_meaning,
      .onnx = {{.op = "Pow", .since = 7}},
      .samples = {sample({{3, 1}, {5}}),
                  sample({{0, 4}, {1, 4}}),
                  sample({{7}, {7}}, {}, DType::i32),
                  {{{DType::f32, {4}}, {DType::i64, {4}}}},
                  {{{DType::i32, {4}}, {DType::f32, {4}}}}},
  };
}

}  // namespace tessera::ops::records
