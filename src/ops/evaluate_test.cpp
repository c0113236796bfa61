// SPDX-License-Identifier: Apache-2.0
// The reference evaluators on small known cases.
#include "ops/evaluate.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "ops/registry.h"

namespace tessera::ops {
namespace {

TEST(Evaluate, multiplies_matrices) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {2, 3}}), y = b.input("y", {DType::f32, {3, 1}});
  b.output("z", matmul(x, y) + 1.0);
  const ir::Graph graph = std::move(b).finish();
  const std::vector<double> xs{1, 2, 3, 4, 5, 6}, ys{1, 0, -1};
  const auto result = evaluate(
      graph, std::vector<Tensor>{Tensor::from_floats(xs, {2, 3}), Tensor::from_floats(ys, {3, 1})});
  ASSERT_EQ(result.size(), 1u);
  EXPECT_EQ(result[0].shape(), (Shape{2, 1}));
  EXPECT_EQ(result[0].float_at(0), -1.0);
  EXPECT_EQ(result[0].float_at(1), -1.0);
}

TEST(Evaluate, keeps_symbolic_dimensions) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {sym::Expr::symbol("N"), 3}});
  const Val y = b.op("exp", {x});
  EXPECT_EQ(y.type().to_string(), "f32[N,3]");
}

TEST(Evaluate, refuses_inner_dimensions_that_differ) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {2, 3}});
  EXPECT_THROW(matmul(x, x), UserError);
}

}  // namespace
}  // namespace tessera::ops
