// SPDX-License-Identifier: Apache-2.0
// Exact counts of known operators.
#include "ops/counts.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "ops/registry.h"

namespace tessera::ops {
namespace {

Counts last(const Builder& b) { return count(b.graph(), b.graph().nodes().back()); }

TEST(Counts, matmul_is_twice_the_product_of_its_sizes) {
  Builder b;
  matmul(b.input("x", {DType::f32, {8, 3, 5}}), b.input("y", {DType::f32, {5, 7}}));
  const Counts c = last(b);
  EXPECT_EQ(c.flops, 2.0 * 8 * 3 * 5 * 7);
  EXPECT_EQ(c.bytes_read, 4.0 * (8 * 3 * 5 + 5 * 7));
  EXPECT_EQ(c.bytes_written, 4.0 * 8 * 3 * 7);
}

TEST(Counts, softmax_is_linear_in_its_rows) {
  Builder b;
  b.op("softmax", {b.input("x", {DType::f32, {4, 16}})});
  const Counts c = last(b);
  EXPECT_EQ(c.transcendental, 64);
  EXPECT_EQ(c.flops, 4.0 * 64);  // max, subtraction, sum, division
  EXPECT_EQ(c.bytes_read, 256);
}

TEST(Counts, index_arithmetic_is_free) {
  Builder b;
  b.op("reshape", {b.input("x", {DType::f32, {4, 6}})}, {{"shape", ir::Dims{3, 8}}});
  EXPECT_EQ(last(b), (Counts{0, 0, 96, 96}));
}

TEST(Counts, repeated_inputs_are_read_once) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {10}});
  b.op("mul", {x, x});
  EXPECT_EQ(last(b), (Counts{10, 0, 40, 40}));
}

TEST(Counts, hoists_what_an_inner_loop_does_not_change) {
  ir::Meaning m;
  m.pool = std::make_unique<ir::ExprPool>();
  m.inputs = {{DType::f32, {3}}, {DType::f32, {5}}};
  const ir::Expr i = m.pool->variable({ir::Var::Kind::output, 0});
  const ir::Expr r = m.pool->fresh_variable();
  const ir::Expr outer = exp(m.pool->read(0, DType::f32, std::array{i}));
  const ir::Expr inner = exp(m.pool->read(1, DType::f32, std::array{r}));
  m.outputs = {{{3}, m.pool->reduce(ir::Reduction::sum, r, m.pool->integer(5), outer * inner)}};
  const Counts c = count(m);
  EXPECT_EQ(c.transcendental, 3 + 5);
  EXPECT_EQ(c.flops, 2 * 15);
}

TEST(Counts, triangular_extents_count_exactly) {
  ir::Meaning m;
  m.pool = std::make_unique<ir::ExprPool>();
  m.inputs = {{DType::f32, {7}}};
  const ir::Expr i = m.pool->variable({ir::Var::Kind::output, 0});
  const ir::Expr r = m.pool->fresh_variable();
  m.outputs = {
      {{7},
       m.pool->reduce(ir::Reduction::sum, r, i + 1, m.pool->read(0, DType::f32, std::array{r}))}};
  EXPECT_EQ(count(m).flops, 28);
}

TEST(Counts, every_record_counts_its_samples) {
  for (const OpDef& def : registry().all())
    for (const Sample& sample : def.samples) {
      SCOPED_TRACE(def.name);
      Builder b;
      std::vector<Val> inputs;
      for (const ir::ValueType& type : sample.inputs)
        inputs.push_back(type.opaque ? Val{}
                                     : b.constant(Tensor(type.dtype, type.concrete_shape())));
      b.op_n(def.name, std::move(inputs), sample.attrs);
      const Counts c = last(b);
      for (double v : {c.flops, c.transcendental, c.bytes_read, c.bytes_written}) {
        EXPECT_GE(v, 0);
        EXPECT_LT(v, 1e9);
      }
    }
}

TEST(Counts, asks_for_symbolic_sizes) {
  Builder b;
  b.op("exp", {b.input("x", {DType::f32, {sym::Expr::symbol("N")}})});
  EXPECT_THROW(last(b), UserError);
}

TEST(Counts, peak_follows_lifetimes) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {100}});
  const Val y = b.op("exp", {x});                              // 400
  const Val z = b.op("exp", {y});                              // 800, then y dies
  b.output("out", b.op("add", {z, b.scalar(1, DType::f32)}));  // 800
  EXPECT_EQ(peak_bytes(b.graph()), 800);
  EXPECT_EQ(constant_bytes(b.graph()), 4);
}

}  // namespace
}  // namespace tessera::ops
