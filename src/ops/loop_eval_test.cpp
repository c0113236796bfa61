// SPDX-License-Identifier: Apache-2.0
// The quick evaluator against the arbiter: equal bits on every record, also for unusual values.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"
#include "ops/evaluate.h"
#include "ops/registry.h"

namespace tessera::ops {
namespace {

// Small numbers with NaN, infinities and zeros of both signs among them.
Tensor unusual_tensor(const ir::ValueType& type, Rng& rng) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double rare[] = {std::numeric_limits<double>::quiet_NaN(), infinity, -infinity, -0.0,
                             0.0};
  Tensor tensor(type.dtype, type.concrete_shape());
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (is_float(type.dtype))
      tensor.set_float(i, rng.integer(0, 9) == 0 ? rare[rng.integer(0, 4)] : 2 * rng.normal());
    else if (type.dtype == DType::boolean) tensor.set_integer(i, rng.integer(0, 1));
    else tensor.set_integer(i, rng.integer(0, 30) - (is_signed_integer(type.dtype) ? 15 : 0));
  }
  return tensor;
}

bool same_number(double a, double b) { return (std::isnan(a) && std::isnan(b)) || a == b; }

void expect_same(const Tensor& expected, const Tensor& found) {
  ASSERT_EQ(expected.shape(), found.shape());
  ASSERT_EQ(expected.type(), found.type());
  for (int64_t i = 0; i < expected.size(); ++i) {
    if (is_float(expected.type()))
      ASSERT_TRUE(same_number(expected.float_at(i), found.float_at(i)))
          << i << ": " << expected.float_at(i) << " and " << found.float_at(i);
    else ASSERT_EQ(expected.integer_at(i), found.integer_at(i)) << i;
  }
}

// Both evaluators give the same, or the same kind of error.
void compare(const ir::Meaning& meaning, std::span<const Tensor> inputs, bool wide, int threads) {
  std::vector<Tensor> expected;
  try {
    expected = tree_evaluate(meaning, inputs, wide);
  } catch (const UserError& e) {
    EXPECT_THROW(loop_evaluate(meaning, inputs, wide, threads), UserError) << e.what();
    return;
  }
  const auto found = loop_evaluate(meaning, inputs, wide, threads);
  ASSERT_EQ(expected.size(), found.size());
  for (size_t k = 0; k < expected.size(); ++k) expect_same(expected[k], found[k]);
}

TEST(LoopEvaluator, equals_the_tree_walker_on_every_sample) {
  for (const OpDef& def : registry().all()) {
    if (!def.meaning) continue;
    for (size_t s = 0; s < def.samples.size(); ++s) {
      SCOPED_TRACE(fmt::format("{} sample {}", def.name, s));
      const Sample& sample = def.samples[s];
      InputTypes types;
      for (const ir::ValueType& type : sample.inputs) types.push_back(&type);
      const ir::Meaning meaning = instantiate(def, types, sample.attrs);
      for (uint64_t seed = 0; seed < 4; ++seed) {
        Rng rng(seed * 1000 + s);
        std::vector<Tensor> inputs;
        for (const ir::ValueType& type : sample.inputs) inputs.push_back(unusual_tensor(type, rng));
        compare(meaning, inputs, seed % 2 == 0, seed < 2 ? 1 : 3);
      }
    }
  }
}

// One output over x: f32[n] and t: i64[n] made by `body`.
ir::Meaning over_vector(int64_t n, const std::function<Expr(MeaningBuilder&, Expr)>& body) {
  static const OpDef def{.name = "test", .inputs = {{"x"}, {"t"}}};
  static const ir::AttrMap no_attrs;
  const ir::ValueType x{DType::f32, {n}}, t{DType::i64, {n}};
  const std::array<const ir::ValueType*, 2> types{&x, &t};
  MeaningBuilder b(def, no_attrs, types);
  b.output({n}, [&](std::span<const Expr> i) { return body(b, i[0]); });
  return std::move(b).finish();
}

TEST(LoopEvaluator, sums_triangles) {
  const ir::Meaning meaning = over_vector(300, [](MeaningBuilder& b, Expr i) {
    return b.reduce(ir::Reduction::sum, i + 1, [&](Expr r) { return b.in(0)(r)*b.in(0)(i); });
  });
  Rng rng(3);
  const std::vector<Tensor> inputs{unusual_tensor(meaning.inputs[0], rng),
                                   unusual_tensor(meaning.inputs[1], rng)};
  for (bool wide : {false, true}) compare(meaning, inputs, wide, 2);
}

TEST(LoopEvaluator, follows_indices_and_guards_them) {
  const auto gather = [](bool guarded) {
    return over_vector(40, [=](MeaningBuilder& b, Expr i) {
      const Expr at = b.in(1)(i), zero = b.literal(0, DType::f32);
      const Expr inside = b.integer(0) <= at && at < Expr(b.integer(40));
      return guarded ? select(inside, b.in(0)(at), zero) : b.in(0)(at);
    });
  };
  Rng rng(4);
  const ir::Meaning guarded = gather(true), bare = gather(false);
  const Tensor x = unusual_tensor(guarded.inputs[0], rng);
  std::vector<Tensor> inputs{x, unusual_tensor(guarded.inputs[1], rng)};
  compare(guarded, inputs, true, 1);
  EXPECT_THROW(loop_evaluate(bare, inputs, true), UserError);
  for (int64_t i = 0; i < 40; ++i) inputs[1].set_integer(i, std::abs(inputs[1].integer_at(i)));
  compare(bare, inputs, true, 1);
}

TEST(LoopEvaluator, reports_errors_only_of_terms_that_are_summed) {
  const ir::Meaning meaning = over_vector(20, [](MeaningBuilder& b, Expr i) {
    return b.reduce(ir::Reduction::sum, b.in(1)(i), [&](Expr r) { return b.in(0)(i + r); });
  });
  Rng rng(5);
  std::vector<Tensor> inputs{unusual_tensor(meaning.inputs[0], rng), Tensor(DType::i64, {20})};
  for (int64_t i = 0; i < 20; ++i) inputs[1].set_integer(i, 20 - i);
  compare(meaning, inputs, true, 1);
  inputs[1].set_integer(7, 14);
  EXPECT_ANY_THROW(loop_evaluate(meaning, inputs, true));
}

}  // namespace
}  // namespace tessera::ops
