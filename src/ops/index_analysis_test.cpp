// SPDX-License-Identifier: Apache-2.0
// What guards prove about reads of flat memory.
#include "ops/index_analysis.h"

#include <gtest/gtest.h>

#include "ops/meaning_builder.h"
#include "ops/op_def.h"

namespace tessera::ops {
namespace {

using ir::Expr;

// One read of x[99] at an index made of the output variables of [10, 9], under a condition.
bool is_proved(const std::function<Expr(MeaningBuilder&, Expr, Expr)>& condition,
               const std::function<Expr(Expr, Expr)>& index) {
  static const OpDef def{.name = "test"};
  static const ir::AttrMap attrs;
  const ir::ValueType type{DType::f32, {99}};
  const std::vector<const ir::ValueType*> types{&type};
  MeaningBuilder b(def, attrs, types);
  b.output({10, 9}, [&](std::span<const Expr> i) {
    const Expr element = b.in(0)({index(i[0], i[1])});
    return ir::select(condition(b, i[0], i[1]), element, literal_like(element, 0));
  });
  const ir::Meaning m = std::move(b).finish();
  const Shape output{10, 9};
  IndexAnalysis analysis(*m.pool, {m.outputs[0].body.id}, output);
  const Shape input{99};
  return analysis.unproven_reads(std::span(&input, 1)).empty();
}

// x as 11 rows of 9: rows and columns shifted by one.
Expr shifted(Expr i, Expr j) { return (i - 1) * 9 + (j - 1); }

TEST(IndexAnalysis, adds_the_guards_of_several_axes) {
  EXPECT_TRUE(is_proved(
      [](MeaningBuilder& b, Expr i, Expr j) { return b.integer(1) <= i && b.integer(1) <= j; },
      shifted));
}

TEST(IndexAnalysis, needs_every_guard) {
  EXPECT_FALSE(
      is_proved([](MeaningBuilder& b, Expr i, Expr) { return b.integer(0) <= i; }, shifted));
  EXPECT_FALSE(
      is_proved([](MeaningBuilder& b, Expr, Expr j) { return b.integer(1) <= j; }, shifted));
  EXPECT_FALSE(is_proved(
      [](MeaningBuilder& b, Expr i, Expr j) { return i <= b.integer(8) && b.integer(1) <= j; },
      shifted));
}

TEST(IndexAnalysis, bounds_the_upper_end_too) {
  const auto beyond = [](Expr i, Expr j) { return (i + 3) * 9 + j; };
  EXPECT_TRUE(is_proved([](MeaningBuilder& b, Expr i, Expr) { return i <= b.integer(7); }, beyond));
  EXPECT_FALSE(
      is_proved([](MeaningBuilder& b, Expr i, Expr) { return i <= b.integer(8); }, beyond));
}

}  // namespace
}  // namespace tessera::ops
