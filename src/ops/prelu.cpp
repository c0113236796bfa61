// SPDX-License-Identifier: Apache-2.0
// Rectifier with learned slopes.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

void prelu_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), slope = b.in(1);
  check_domain(b, b.common_type(), Domain::numbers);
  b.check(slope.rank() <= x.rank(), "a slope of rank {} for rank {}", slope.rank(), x.rank());
  for (int axis = 1; axis <= slope.rank(); ++axis)
    if (slope.dim(-axis) != Size(1))
      b.require_equal(slope.dim(-axis), x.dim(-axis), "the slope does not broadcast to x");
  b.output(x.shape(), [&](std::span<const Expr> i) {
    const Expr element = x(i);
    return select(element < 0, slope.broadcast_at(i) * element, element);
  });
}

}  // namespace

OpDef prelu() {
  return {
      .name = "prelu",
      .doc = "x, or slope · x below 0, elementwise; the slope broadcasts to x (He et al. 2015).",
      .inputs = {{"x"}, {"slope"}},
      .meaning = prelu_meaning,
      .onnx = {{.op = "PRelu", .since = 7}},
      .samples = {sample({{2, 3, 4}, {3, 1}}), sample({{2, 3}, {}}),
                  sample({{5}, {5}}, {}, DType::i32)},
  };
}

}  // namespace tessera::ops::records
