// SPDX-License-Identifier: Apache-2.0
// Matrix product with batch broadcasting.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// NumPy's matmul: a rank-1 operand is a row (left) or a column (right) whose axis vanishes.
void matmul_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), y = b.in(1);
  b.common_type();
  b.check(x.rank() >= 1 && y.rank() >= 1, "operands must have rank 1 or more, found {} and {}",
          x.rank(), y.rank());
  const bool row = x.rank() == 1, column = y.rank() == 1;
  const Size k = x.dim(-1);
  b.require_equal(k, y.dim(column ? -1 : -2), "inner dimensions differ");
  Dims x_batch(x.shape().begin(), x.shape().end() - (row ? 1 : 2));
  Dims y_batch(y.shape().begin(), y.shape().end() - (column ? 1 : 2));
  Dims shape = broadcast(b, x_batch, y_batch);
  const size_t batch = shape.size();
  if (!row) shape.push_back(x.dim(-2));
  if (!column) shape.push_back(y.dim(-1));
  const auto batch_indices = [&](const Dims& dims, std::span<const Expr> i) {
    Indices own;
    for (size_t a = 0; a < dims.size(); ++a)
      own.push_back(dims[a] == Size(1) ? b.integer(0) : i[batch - dims.size() + a]);
    return own;
  };
  b.output(shape, [&](std::span<const Expr> i) {
    return b.sum(k, [&](Expr r) {
      Indices xi = batch_indices(x_batch, i), yi = batch_indices(y_batch, i);
      if (!row) xi.push_back(i[batch]);
      xi.push_back(r);
      yi.push_back(r);
      if (!column) yi.push_back(i[batch + (row ? 0 : 1)]);
      return x(xi) * y(yi);
    });
  });
}

}  // namespace

OpDef matmul() {
  return {
      .name = "matmul",
      .doc = "Matrix product over the last two axes, batch axes broadcast (NumPy matmul).",
      .inputs = {{"x"}, {"y"}},
      .meaning = matmul_meaning,
      .onnx = {{.op = "MatMul"}},
      .samples = {sample({{3, 5}, {5, 2}}), sample({{2, 3, 4}, {4, 7}}),
                  sample({std::vector<int64_t>{5}, {5}}), sample({{2, 1, 3, 4}, {3, 4, 2}}),
                  sample({{3, 0}, {0, 2}})},
  };
}

}  // namespace tessera::ops::records
