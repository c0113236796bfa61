// SPDX-License-Identifier: Apache-2.0
// Elements chosen along an axis, one index for each.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void gather_elements_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), indices = b.in(1);
  b.check(is_signed_integer(indices.type()), "indices must be signed integers, found {}",
          to_string(indices.type()));
  b.check(indices.rank() == x.rank() && x.rank() >= 1, "indices of rank {} for rank {}",
          indices.rank(), x.rank());
  const int axis = b.axis("axis", x.rank());
  for (int a = 0; a < x.rank(); ++a)
    if (a != axis) b.require_at_least(x.dim(a), indices.dim(a), "indices exceed x");
  b.output(indices.shape(), [&](std::span<const Expr> i) {
    const Expr chosen = ir::cast(indices(i), DType::i64);
    Indices source(i.begin(), i.end());
    source[axis] = select(chosen < 0, chosen + x.dim(axis), chosen);
    return x(source);
  });
}

}  // namespace

OpDef gather_elements() {
  const ir::ValueType x{DType::f32, {3, 4}};
  return {
      .name = "gather_elements",
      .doc =
          "x at every position of the indices, with the index in place of the position along "
          "`axis`; negative indices count from the end.",
      .inputs = {{"x"}, {"indices"}},
      .attrs = {{.name = "axis", .default_value = int64_t{0}}},
      .meaning = gather_elements_meaning,
      .onnx = {{.op = "GatherElements", .since = 11}},
      .samples = {{{x, {DType::i64, {2, 4}}}},
                  {{x, {DType::i32, {3, 2}}}, {{"axis", int64_t{-1}}}}},
  };
}

}  // namespace tessera::ops::records
