// SPDX-License-Identifier: Apache-2.0
// Hash-consing, folding and rewriting of scalar expressions.
#include "ir/scalar.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "ir/scalar_eval.h"

namespace tessera::ir {
namespace {

Expr output(ExprPool& pool, uint32_t axis) { return pool.variable({Var::Kind::output, axis}); }

Expr read(ExprPool& pool, uint32_t input, std::initializer_list<Expr> indices) {
  return pool.read(input, DType::f32, std::vector<Expr>(indices));
}

Expr row_sum(ExprPool& pool, Expr row) {
  const Expr k = pool.fresh_variable();
  return pool.reduce(Reduction::sum, k, pool.integer(5), read(pool, 0, {row, k}));
}

TEST(Scalar, equal_expressions_are_one_node) {
  ExprPool pool;
  const Expr i = output(pool, 0);
  EXPECT_EQ((i + 1) * 2, (i + 1) * 2);
  EXPECT_EQ(row_sum(pool, i), row_sum(pool, i));
}

TEST(Scalar, folds_integer_identities_only) {
  ExprPool pool;
  const Expr i = output(pool, 0);
  EXPECT_EQ(i * 1 + 0, i);
  const Expr x = read(pool, 0, {i});
  EXPECT_FALSE(x + 0.0 == x);  // -0 + 0 is +0
  EXPECT_EQ(pool.integer(7) / 2, pool.integer(3));
}

TEST(Scalar, a_reduction_over_one_element_is_its_body) {
  ExprPool pool;
  const Expr k = pool.fresh_variable();
  const Expr sum = pool.reduce(Reduction::sum, k, pool.integer(1), read(pool, 0, {k}));
  EXPECT_EQ(sum, read(pool, 0, {pool.integer(0)}));
}

// Substituting an expression that holds a bound variable must not be captured by a reduction of
// the same height inside.
TEST(Scalar, substitution_does_not_capture) {
  ExprPool pool;
  const Expr i = output(pool, 0);
  const Expr inner = row_sum(pool, i);  // height 1
  const Expr k = pool.fresh_variable();
  const Expr replaced =
      pool.rewrite(inner, [&](Expr e) { return e == i ? std::optional(k) : std::nullopt; });
  const Expr outer = pool.reduce(Reduction::max, k, pool.integer(3), replaced);
  ASSERT_EQ(outer.node().kind, ExprKind::reduce);
  EXPECT_EQ(outer.node().var.number, 2u);
  const ExprNode& body = pool.node(outer.node().args[1]);
  ASSERT_EQ(body.kind, ExprKind::reduce);
  EXPECT_EQ(body.var.number, 1u);
  const ExprNode& element = pool.node(body.args[1]);
  EXPECT_EQ(pool.node(element.args[0]).var.number, 2u);
  EXPECT_EQ(pool.node(element.args[1]).var.number, 1u);
}

TEST(Scalar, import_inlines_a_producer) {
  ExprPool producer, consumer;
  const Expr doubled = read(producer, 0, {output(producer, 0)}) * 2.0;
  const Expr i = output(consumer, 0);
  const Expr k = consumer.fresh_variable();
  const Expr at = consumer.import(doubled, std::array{k});
  const Expr sum = consumer.reduce(Reduction::sum, k, consumer.integer(4), at);
  EXPECT_EQ(sum.node().kind, ExprKind::reduce);
  EXPECT_FALSE(sum == i);
}

TEST(Scalar, primitives_follow_their_stated_semantics) {
  const auto integer = [](Prim p, DType t, int64_t a, int64_t b) {
    return apply(p, t, Scalar::of_integer(a), Scalar::of_integer(b)).integer;
  };
  const auto real = [](Prim p, double a, double b) {
    return apply(p, DType::f64, Scalar::of(a), Scalar::of(b)).real;
  };
  EXPECT_EQ(integer(Prim::add, DType::i8, 127, 1), -128);
  EXPECT_EQ(integer(Prim::div, DType::i32, -7, 2), -3);
  EXPECT_EQ(integer(Prim::floor_div, DType::i32, -7, 2), -4);
  EXPECT_EQ(integer(Prim::mod, DType::i32, -7, 2), 1);
  EXPECT_EQ(integer(Prim::fmod, DType::i32, -7, 2), -1);
  EXPECT_EQ(integer(Prim::div, DType::i64, INT64_MIN, -1), INT64_MIN);
  EXPECT_EQ(integer(Prim::div, DType::i64, 5, 0), 0);
  EXPECT_EQ(integer(Prim::max, DType::u64, -1, 1), -1);  // 2^64 - 1
  EXPECT_EQ(integer(Prim::shift_left, DType::u8, 255, 4), 240);
  EXPECT_TRUE(std::isnan(real(Prim::max, NAN, 1)));
  EXPECT_TRUE(std::isnan(real(Prim::min, 1, NAN)));
  EXPECT_TRUE(std::signbit(real(Prim::sign, -0.0, 0)));
  EXPECT_EQ(real(Prim::round, 2.5, 0), 2);
  EXPECT_EQ(convert(Scalar::of(NAN), DType::f32, DType::i32).integer, 0);
  EXPECT_EQ(convert(Scalar::of(-2.7), DType::f32, DType::i32).integer, -2);
}

}  // namespace
}  // namespace tessera::ir
