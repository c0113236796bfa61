// SPDX-License-Identifier: Apache-2.0
// Tensors one after the other along an axis.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void concat_meaning(MeaningBuilder& b) {
  b.common_type();
  const int count = b.input_count(), rank = b.in(0).rank();
  b.check(rank >= 1, "inputs must have rank 1 or more");
  const int axis = b.axis("axis", rank);
  Dims shape = b.in(0).shape();
  std::vector<Size> begins{Size(0)};
  for (int k = 0; k < count; ++k) {
    const TensorArg x = b.in(k);
    b.check(x.rank() == rank, "inputs of rank {} and {}", rank, x.rank());
    for (int a = 0; a < rank; ++a)
      if (a != axis) b.require_equal(shape[a], x.dim(a), "extents of another axis differ");
    begins.push_back(begins.back() + x.dim(axis));
  }
  shape[axis] = begins.back();
  b.output(shape, [&](std::span<const Expr> i) {
    const auto part = [&](int k) {
      Indices own(i.begin(), i.end());
      own[axis] = own[axis] - begins[k];
      return b.in(k)(own);
    };
    Expr element = part(count - 1);
    for (int k = count - 1; k-- > 0;)
      if (b.in(k).dim(axis) != Size(0)) element = select(i[axis] < begins[k + 1], part(k), element);
    return element;
  });
}

}  // namespace

OpDef concat() {
  const ir::AttrMap second{{"axis", int64_t{1}}}, last{{"axis", int64_t{-1}}};
  return {
      .name = "concat",
      .doc = "The inputs one after the other along `axis`.",
      .inputs = {{.name = "args", .variadic = true}},
      .attrs = {{.name = "axis"}},
      .meaning = concat_meaning,
      .onnx = {{.op = "Concat", .since = 4}},
      .samples = {sample({{2, 3}, {2, 1}, {2, 4}}, second), sample({{3, 2}}, last),
                  sample({{2, 3}, {2, 0}}, last), sample({{0}, {2}}, last),
                  sample({{2, 0}, {2, 0}}, last), sample({{2, 3}, {2, 3}}, second, DType::i64)},
  };
}

}  // namespace tessera::ops::records
