// SPDX-License-Identifier: Apache-2.0
// Ones on a diagonal.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

void eye_like_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  b.check(x.rank() == 2, "x must have rank 2, found {}", x.rank());
  const DType type = b.has_attr("dtype") ? b.dtype("dtype") : x.type();
  const int64_t k = b.integer("k");
  b.output(x.shape(),
           [&](std::span<const Expr> i) { return ir::cast(ir::eq(i[1] - i[0], k), type); });
}

}  // namespace

OpDef eye_like() {
  return {
      .name = "eye_like",
      .doc =
          "The shape of the matrix x with ones on diagonal k and zeros elsewhere; of type "
          "`dtype`, or that of x.",
      .inputs = {{"x"}},
      .attrs = {{.name = "dtype", .kind = ir::AttrKind::dtype, .optional = true}, int_attr("k", 0)},
      .meaning = eye_like_meaning,
      .onnx = {{.op = "EyeLike", .since = 9}},
      .samples = {sample({3, 4}), sample({4, 3}, DType::i32, {{"k", int64_t{-1}}}),
                  sample({3, 3}, DType::i32, {{"dtype", DType::f64}, {"k", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
