// SPDX-License-Identifier: Apache-2.0
// In which order the axes of what loops compute lie.
#include "plan/layout.h"

#include <gtest/gtest.h>

#include "plan/passes.h"

namespace tessera::plan {
namespace {

// A value with channels last, as convolutions leave it, and loops that double it: axis `axes[k]` of
// the result is axis k of the value.
Draft doubled(const std::vector<uint32_t>& axes) {
  Draft d;
  const ValueId from = d.add_value(DType::f32, {2, 16, 3, 5});
  d.values[from].order = {0, 2, 3, 1};
  Shape shape(4);
  for (size_t k = 0; k < axes.size(); ++k) shape[axes[k]] = d.values[from].shape[k];
  Step step;
  step.op = "add";
  step.names = step.nodes = {"add"};
  step.src = {from};
  step.dst = {d.add_value(DType::f32, shape)};
  step.meaning.pool = std::make_unique<ir::ExprPool>();
  step.meaning.inputs = {{DType::f32, {2, 16, 3, 5}}};
  std::vector<ir::Expr> at;
  for (uint32_t axis : axes)
    at.push_back(step.meaning.pool->variable({ir::Var::Kind::output, axis}));
  const ir::Expr x = step.meaning.pool->read(0, DType::f32, at);
  step.meaning.outputs = {{ir::Dims(shape.begin(), shape.end()), x + x}};
  d.steps.push_back(std::move(step));
  return d;
}

std::vector<int> order_of_result(const std::vector<uint32_t>& axes) {
  Draft d = doubled(axes);
  assign_layouts(d);
  EXPECT_EQ(d.steps.size(), 1u);
  return d.values[d.steps[0].dst[0]].order;
}

TEST(Layout, of_loops_is_that_of_their_source) {
  EXPECT_EQ(order_of_result({0, 1, 2, 3}), (std::vector<int>{0, 2, 3, 1}));
}

// Read as [N, height, width, C]: row-major is how the source lies.
TEST(Layout, follows_the_axes_that_are_read) {
  EXPECT_EQ(order_of_result({0, 3, 1, 2}), std::vector<int>{});
  EXPECT_EQ(order_of_result({3, 0, 1, 2}), (std::vector<int>{3, 1, 2, 0}));
}

}  // namespace
}  // namespace tessera::plan
