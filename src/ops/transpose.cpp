// SPDX-License-Identifier: Apache-2.0
// Permutation of axes.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void transpose_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  std::vector<int64_t> perm = b.integers("perm");
  if (perm.empty())
    for (int axis = x.rank(); axis-- > 0;) perm.push_back(axis);
  std::vector<int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  bool valid = static_cast<int>(perm.size()) == x.rank();
  for (size_t axis = 0; valid && axis < sorted.size(); ++axis)
    valid = sorted[axis] == static_cast<int64_t>(axis);
  b.check(valid, "perm is no permutation of {} axes", x.rank());
  Dims shape;
  for (int64_t axis : perm) shape.push_back(x.dim(static_cast<int>(axis)));
  b.output(shape, [&](std::span<const Expr> i) {
    Indices source(perm.size());
    for (size_t axis = 0; axis < perm.size(); ++axis) source[perm[axis]] = i[axis];
    return x(source);
  });
}

}  // namespace

OpDef transpose() {
  return {
      .name = "transpose",
      .doc = "Axis k of the result is axis perm[k] of x; an empty perm reverses the axes.",
      .inputs = {{"x"}},
      .attrs = {{.name = "perm",
                 .kind = ir::AttrKind::integers,
                 .default_value = std::vector<int64_t>{}}},
      .meaning = transpose_meaning,
      .onnx = {{.op = "Transpose"}},
      .samples = {sample({3, 5}),
                  sample({2, 3, 4}, DType::f32, {{"perm", std::vector<int64_t>{1, 2, 0}}})},
  };
}

}  // namespace tessera::ops::records
