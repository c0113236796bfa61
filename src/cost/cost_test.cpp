// SPDX-License-Identifier: Apache-2.0
// The cost model: what is free, what fuses, what is counted.
#include "cost/cost.h"

#include <gtest/gtest.h>

#include "ops/builder.h"

namespace tessera::cost {
namespace {

using ops::Builder;
using ops::Val;

const Machine machine{.threads = 1,
                      .flops_per_second = 1e11,
                      .bytes_per_second = 1e10,
                      .cache_bytes_per_second = 1e10,
                      .launch_seconds = 1e-6};

GraphCost cost_of(const std::function<Val(Builder&, Val)>& f) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {64, 64}});
  b.output("y", f(b, x));
  return CostModel(machine).cost(std::move(b).finish());
}

TEST(Cost, chains_of_elementwise_operators_are_one_kernel) {
  const GraphCost one = cost_of([](Builder&, Val x) { return ops::tanh(x); });
  const GraphCost three = cost_of([](Builder&, Val x) { return ops::tanh(x) * 2.0 + 1.0; });
  EXPECT_EQ(one.kernels, 1);
  EXPECT_EQ(three.kernels, 1);
  EXPECT_EQ(one.bytes, 2 * 64 * 64 * 4);
  EXPECT_EQ(three.bytes, one.bytes + 8);
}

TEST(Cost, views_and_constants_are_free) {
  const GraphCost views = cost_of([](Builder& b, Val x) {
    const Val weights = b.constant(Tensor(DType::f32, {64, 64}));
    b.output("w", ops::exp(weights));
    return ops::reshape(ops::reshape(x, {4096}), {32, 128});
  });
  EXPECT_EQ(views.kernels, 0);
  EXPECT_EQ(views.seconds, 0);
}

TEST(Cost, products_take_their_epilogue_along_but_not_their_operands_functions) {
  EXPECT_EQ(cost_of([](Builder&, Val x) { return ops::tanh(ops::matmul(x, x)) + 1.0; }).kernels, 1);
  EXPECT_EQ(cost_of([](Builder&, Val x) { return ops::matmul(ops::tanh(x), x); }).kernels, 2);
}

TEST(Cost, composites_cost_what_they_expand_to) {
  const GraphCost whole = cost_of([](Builder& b, Val x) { return b.op("softmax", {x}); });
  const GraphCost parts = cost_of([](Builder&, Val x) {
    const Val e = ops::exp(x - ops::reduce("reduce_max", x, {-1}));
    return e / ops::reduce("reduce_sum", e, {-1});
  });
  EXPECT_EQ(whole.seconds, parts.seconds);
}

TEST(Cost, unbound_sizes_do_not_matter_to_counting) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {sym::Expr::symbol("N"), 64}});
  b.output("y", ops::exp(x));
  EXPECT_GT(CostModel(machine).cost(std::move(b).finish()).seconds, 0);
}

}  // namespace
}  // namespace tessera::cost
