// SPDX-License-Identifier: Apache-2.0
// General matrix product with transposition, scaling and a broadcast addend.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

void gemm_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), y = b.in(1);
  b.common_type();
  b.check(x.rank() == 2 && y.rank() == 2, "operands must have rank 2, found {} and {}", x.rank(),
          y.rank());
  const bool tx = b.flag("transA"), ty = b.flag("transB");
  const double alpha = b.real("alpha"), beta = b.real("beta");
  const Dims shape{x.dim(tx ? 1 : 0), y.dim(ty ? 0 : 1)};
  const Size k = x.dim(tx ? 0 : 1);
  b.require_equal(k, y.dim(ty ? 1 : 0), "inner dimensions differ");
  if (b.has(2)) {
    b.check(b.in(2).rank() <= 2, "c must have rank 2 or less");
    const Dims joint = broadcast(b, shape, b.in(2).shape());
    for (int axis = 0; axis < 2; ++axis)
      b.require_equal(joint[axis], shape[axis], "c does not broadcast to the product");
  }
  b.output(shape, [&](std::span<const Expr> i) {
    Expr total = b.sum(
        k, [&](Expr r) { return (tx ? x(r, i[0]) : x(i[0], r)) * (ty ? y(i[1], r) : y(r, i[1])); });
    if (alpha != 1) total = total * alpha;
    if (!b.has(2) || beta == 0) return total;
    const Expr c = b.in(2).broadcast_at(i);
    return total + (beta == 1 ? c : c * beta);
  });
}

}  // namespace

OpDef gemm() {
  const int64_t one = 1;
  return {
      .name = "gemm",
      .doc = "alpha · A'·B' + beta · C, with A' and B' optionally transposed; C broadcasts.",
      .inputs = {{"x"}, {"y"}, {"c", true}},
      .attrs = {{.name = "alpha", .kind = ir::AttrKind::real, .default_value = 1.0},
                {.name = "beta", .kind = ir::AttrKind::real, .default_value = 1.0},
                {.name = "transA", .default_value = int64_t{0}},
                {.name = "transB", .default_value = int64_t{0}}},
      .meaning = gemm_meaning,
      .onnx = {{.op = "Gemm", .since = 7}},
      .samples = {sample({{3, 4}, {4, 2}, {2}}), sample({{3, 4}, {2, 4}}, {{"transB", one}}),
                  sample({{4, 3}, {2, 4}, {3, 1}},
                         {{"transA", one}, {"transB", one}, {"alpha", 0.5}, {"beta", 2.0}})},
  };
}

}  // namespace tessera::ops::records
