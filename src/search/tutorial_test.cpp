// SPDX-License-Identifier: Apache-2.0
// The seven tutorial rewrites: what they save, on further shapes and operand orders, and where they
// must not fire.
#include <gtest/gtest.h>

#include <cmath>

#include "ops/builder.h"
#include "ops/counts.h"
#include "ops/evaluate.h"
#include "rules/sample.h"
#include "search/optimize.h"

namespace tessera::search {
namespace {

using ops::Builder;
using ops::Val;
using Counts = std::map<std::string, int>;

const rules::RuleSet& shipped() {
  static const rules::RuleSet set = rules::load_rules("rules", {.untested = true});
  return set;
}

const cost::Machine two_cores{.threads = 2,
                              .flops_per_second = 2e11,
                              .bytes_per_second = 2e10,
                              .cache_bytes_per_second = 1e11,
                              .launch_seconds = 3e-6};

ir::ValueType f32(ir::Dims shape) { return {DType::f32, std::move(shape)}; }

Counts operators(const ir::Graph& g) {
  Counts counts;
  for (const ir::Node& n : g.nodes())
    if (n.op != "input" && n.op != "constant") ++counts[n.op];
  return counts;
}

void expect_same_function(const ir::Graph& a, const ir::Graph& b) {
  Rng rng(3);
  const auto inputs = rules::random_inputs(a, rng, false);
  const auto x = ops::evaluate(a, inputs), y = ops::evaluate(b, inputs);
  ASSERT_EQ(x.size(), y.size());
  for (size_t k = 0; k < x.size(); ++k) {
    ASSERT_EQ(x[k].shape(), y[k].shape());
    double error = 0, scale = 1e-30;
    if (!is_float(x[k].type())) {
      EXPECT_TRUE(identical(x[k], y[k]));
      continue;
    }
    for (int64_t i = 0; i < x[k].size(); ++i) {
      error = std::max(error, std::abs(x[k].float_at(i) - y[k].float_at(i)));
      scale = std::max(scale, std::abs(x[k].float_at(i)));
    }
    EXPECT_LE(error, 1e-6 * scale);
  }
}

// A graph of one output, optimized; the result computes the same, costs no more and follows from
// its derivation.
struct Done {
  ir::Graph before, after;
  OptimizeResult result;
  Counts ops() const { return operators(after); }
};

Done optimized(Builder& b, Val y) {
  b.output("y", y);
  Done d;
  d.before = std::move(b).finish();
  OptimizeOptions options;
  options.machine = &two_cores;
  d.result = optimize(d.before, shipped(), options);
  d.after = d.result.graph;
  EXPECT_LE(d.result.cost_after, d.result.cost_before);
  expect_same_function(d.before, d.after);
  if (!d.result.derivation.empty()) {
    const ir::Graph again =
        rules::replay(d.before, d.result.derivation, shipped(), work_options(options));
    EXPECT_EQ(operators(again), operators(d.after));
  }
  return d;
}

Val weight(Builder& b, Shape shape, uint64_t seed) {
  Tensor t(DType::f32, std::move(shape));
  Rng rng(seed);
  for (int64_t i = 0; i < t.size(); ++i) t.set_float(i, rng.normal());
  return b.constant(std::move(t));
}

double flops(const ir::Graph& g) { return ops::count(g).flops; }

// ---- A·B + A·C → A·(B + C)

TEST(Tutorial, takes_a_common_factor_out_of_a_sum_of_products) {
  Builder b;
  const Val a = b.input("a", f32({64, 32})), x = b.input("b", f32({32, 64})),
            y = b.input("c", f32({32, 64}));
  const Done d = optimized(b, ops::matmul(a, x) + ops::matmul(a, y));
  EXPECT_EQ(d.ops(), (Counts{{"add", 1}, {"matmul", 1}}));
  EXPECT_EQ(flops(d.before), 2 * 2.0 * 64 * 32 * 64 + 64 * 64);
  EXPECT_EQ(flops(d.after), 2.0 * 64 * 32 * 64 + 32 * 64);
  EXPECT_EQ(ops::peak_bytes(d.before), 3 * 64 * 64 * 4);
  EXPECT_EQ(ops::peak_bytes(d.after), (32 * 64 + 64 * 64) * 4);
}

TEST(Tutorial, takes_common_factors_out_on_either_side_and_of_batches) {
  const auto left = [](ir::Dims a, ir::Dims x) {
    Builder b;
    const Val p = b.input("a", f32(a)), q = b.input("b", f32(x)), r = b.input("c", f32(x));
    return optimized(b, ops::matmul(p, q) + ops::matmul(p, r)).ops();
  };
  const auto right = [](ir::Dims a, ir::Dims x) {
    Builder b;
    const Val p = b.input("a", f32(a)), q = b.input("b", f32(x)), r = b.input("c", f32(x));
    return optimized(b, ops::matmul(r, p) + ops::matmul(q, p)).ops();
  };
  const Counts merged{{"add", 1}, {"matmul", 1}};
  EXPECT_EQ(left({17, 40}, {40, 33}), merged);
  EXPECT_EQ(left({3, 20, 30}, {3, 30, 20}), merged);
  EXPECT_EQ(right({40, 33}, {21, 40}), merged);
  EXPECT_EQ(right({2, 40, 33}, {2, 21, 40}), merged);
}

TEST(Tutorial, leaves_sums_of_products_without_a_common_factor) {
  Builder b;
  const Val a = b.input("a", f32({16, 8})), e = b.input("e", f32({16, 8})),
            x = b.input("b", f32({8, 16})), y = b.input("c", f32({8, 16}));
  EXPECT_EQ(optimized(b, ops::matmul(a, x) + ops::matmul(e, y)).ops().at("matmul"), 2);
}

TEST(Tutorial, leaves_products_that_are_used_elsewhere_too) {
  Builder b;
  const Val a = b.input("a", f32({64, 32})), x = b.input("b", f32({32, 64})),
            y = b.input("c", f32({32, 64}));
  const Val p = ops::matmul(a, x), q = ops::matmul(a, y);
  b.output("p", p);
  b.output("q", q);
  EXPECT_EQ(optimized(b, p + q).result.rules_used.count("distribute-left"), 0u);
}

// ---- Q, K, V

TEST(Tutorial, merges_projections_that_share_an_input) {
  Builder b;
  const Val x = b.input("x", f32({16, 32}));
  const Val q = ops::matmul(x, weight(b, {32, 32}, 1)), k = ops::matmul(x, weight(b, {32, 8}, 2)),
            v = ops::matmul(x, weight(b, {32, 8}, 3));
  b.output("q", q);
  b.output("k", k);
  const Done d = optimized(b, v);
  EXPECT_EQ(d.ops(), (Counts{{"matmul", 1}, {"split", 1}}));
  EXPECT_EQ(flops(d.before), flops(d.after));
  EXPECT_LT(d.result.after.kernels, d.result.before.kernels);
}

TEST(Tutorial, merges_biased_projections_and_convolutions_of_any_number) {
  for (int count : {2, 4, 5}) {
    Builder b;
    const Val x = b.input("x", f32({2, 16, 32}));
    Val y;
    for (int k = 0; k < count; ++k) {
      const int64_t n = 8 + 4 * k;
      y = weight(b, {n}, 20 + k) + ops::matmul(x, weight(b, {32, n}, k));
      if (k + 1 < count) b.output(fmt::format("y{}", k), y);
    }
    const Done d = optimized(b, y);
    EXPECT_EQ(d.ops(), (Counts{{"add", 1}, {"matmul", 1}, {"split", 1}})) << count;
  }
  Builder b;
  const Val x = b.input("x", f32({1, 8, 9, 9}));
  b.output("z", b.op("conv", {x, weight(b, {4, 8, 3, 3}, 1), weight(b, {4}, 2)}));
  const Done d = optimized(b, b.op("conv", {x, weight(b, {6, 8, 3, 3}, 3), weight(b, {6}, 4)}));
  EXPECT_EQ(d.ops(), (Counts{{"conv", 1}, {"split", 1}}));
}

TEST(Tutorial, leaves_projections_of_different_inputs) {
  Builder b;
  const Val x = b.input("x", f32({16, 32})), z = b.input("z", f32({16, 32}));
  b.output("q", ops::matmul(x, weight(b, {32, 32}, 1)));
  EXPECT_EQ(optimized(b, ops::matmul(z, weight(b, {32, 32}, 2))).ops(), (Counts{{"matmul", 2}}));
}

TEST(Tutorial, leaves_grouped_convolutions_that_share_an_input) {
  Builder b;
  const Val x = b.input("x", f32({1, 8, 9, 9}));
  const ir::AttrMap depthwise{{"group", int64_t{8}}};
  b.output("z", b.op("conv", {x, weight(b, {8, 1, 3, 3}, 1)}, depthwise));
  EXPECT_EQ(optimized(b, b.op("conv", {x, weight(b, {8, 1, 3, 3}, 3)}, depthwise)).ops(),
            (Counts{{"conv", 2}}));
}

// ---- BatchNorm from batch statistics, ReLU

Val batch_norm(Builder& b, Val x, std::vector<int64_t> axes, ir::Dims channel, bool swapped) {
  const Val d = x - ops::reduce("reduce_mean", x, axes);
  const Val v =
      ops::reduce("reduce_mean", swapped ? d * d : b.op("pow", {d, b.scalar(2, DType::f32)}), axes);
  const Val scale = b.input("scale", f32(channel)), bias = b.input("bias", f32(channel));
  const Val n = d / ops::sqrt(swapped ? 1e-5 + v : v + 1e-5);
  return b.op("relu", {swapped ? bias + scale * n : n * scale + bias});
}

TEST(Tutorial, recognizes_batch_norm_from_batch_statistics) {
  Builder b;
  const Done d =
      optimized(b, batch_norm(b, b.input("x", f32({4, 3, 8, 8})), {0, 2, 3}, {3, 1, 1}, false));
  EXPECT_EQ(d.ops()["batch_normalization"], 1);
  EXPECT_EQ(d.ops()["relu"], 1);
  EXPECT_EQ(d.ops()["sqrt"], 0);
  EXPECT_LE(d.result.after.kernels, d.result.before.kernels);
}

TEST(Tutorial, recognizes_batch_norm_in_other_shapes_and_orders) {
  for (const bool swapped : {false, true}) {
    Builder b, c;
    EXPECT_EQ(optimized(b, batch_norm(b, b.input("x", f32({5, 4})), {0}, {4}, swapped))
                  .ops()["batch_normalization"],
              1);
    EXPECT_EQ(optimized(c, batch_norm(c, c.input("x", f32({5, 4, 6})), {2, 0}, {4, 1}, swapped))
                  .ops()["batch_normalization"],
              1);
  }
}

TEST(Tutorial, statistics_of_other_axes_are_no_batch_norm) {
  Builder b;
  EXPECT_EQ(optimized(b, batch_norm(b, b.input("x", f32({4, 3, 8})), {0, 1}, {8}, false))
                .ops()["batch_normalization"],
            0);
}

// ---- Chains

TEST(Tutorial, orders_a_chain_of_four_matrices) {
  Builder b;
  Val x = ops::matmul(b.input("a", f32({1000, 10})), b.input("b", f32({10, 1000})));
  x = ops::matmul(ops::matmul(x, b.input("c", f32({1000, 10}))), b.input("d", f32({10, 1})));
  const Done d = optimized(b, x);
  EXPECT_EQ(d.ops(), (Counts{{"matmul", 3}}));
  EXPECT_EQ(flops(d.before), 2.0 * (1e7 + 1e7 + 1e4));
  EXPECT_EQ(flops(d.after), 2.0 * 3e4);
  EXPECT_EQ(ops::peak_bytes(d.before), (1000 * 1000 + 1000 * 10) * 4);
  EXPECT_EQ(ops::peak_bytes(d.after), (1000 + 10) * 4);
}

TEST(Tutorial, orders_chains_of_any_length) {
  const auto chain = [](std::vector<int64_t> sizes, bool from_right) {
    Builder b;
    std::vector<Val> parts;
    for (size_t k = 0; k + 1 < sizes.size(); ++k)
      parts.push_back(b.input(fmt::format("m{}", k), f32({sizes[k], sizes[k + 1]})));
    Val y = from_right ? parts.back() : parts.front();
    for (size_t k = 1; k < parts.size(); ++k)
      y = from_right ? ops::matmul(parts[parts.size() - 1 - k], y) : ops::matmul(y, parts[k]);
    return optimized(b, y);
  };
  EXPECT_EQ(flops(chain({30, 4, 50, 2}, false).after), 2.0 * (4 * 50 * 2 + 30 * 4 * 2));
  EXPECT_EQ(flops(chain({2, 50, 4, 30}, true).after), 2.0 * (2 * 50 * 4 + 2 * 4 * 30));
  EXPECT_EQ(flops(chain({30, 35, 15, 5, 10, 20, 25}, false).after), 2.0 * 15125);  // CLRS 15.2
  const Done best = chain({2, 50, 4, 30}, false);
  EXPECT_EQ(best.result.rules_used.count("matrix-chain"), 0u);
}

// ---- Transposes

TEST(Tutorial, cancels_transposes) {
  Builder b;
  const Val a = b.input("a", f32({5, 7}));
  EXPECT_EQ(optimized(b, ops::transpose(ops::transpose(a, {1, 0}), {1, 0})).ops(), Counts{});
}

TEST(Tutorial, cancels_transposes_through_products_and_functions) {
  Builder b, c, e, f;
  const auto t = [](Val x) { return ops::transpose(x, {1, 0}); };
  EXPECT_EQ(optimized(b, t(ops::matmul(t(b.input("a", f32({5, 7}))), t(b.input("b", f32({3, 5}))))))
                .ops(),
            (Counts{{"matmul", 1}}));
  EXPECT_EQ(optimized(c, t(ops::tanh(t(c.input("a", f32({5, 7})))))).ops(), (Counts{{"tanh", 1}}));
  const Val x = e.input("x", f32({2, 3, 4})), y = e.input("y", f32({2, 3, 4}));
  EXPECT_EQ(optimized(e, ops::transpose(ops::transpose(x, {2, 0, 1}) * ops::transpose(y, {2, 0, 1}),
                                        {1, 2, 0}))
                .ops(),
            (Counts{{"mul", 1}}));
  // A near miss: the other permutation does not cancel.
  EXPECT_EQ(optimized(f, ops::transpose(ops::transpose(f.input("x", f32({2, 3, 4})), {2, 0, 1}),
                                        {2, 0, 1}))
                .ops(),
            (Counts{{"transpose", 1}}));
}

// ---- A repeated product

TEST(Tutorial, computes_a_repeated_product_once) {
  Builder b;
  const Val a = b.input("a", f32({8, 16})), c = b.input("b", f32({16, 8}));
  const Done d = optimized(b, ops::matmul(a, c) * ops::tanh(ops::matmul(a, c)));
  EXPECT_EQ(d.ops(), (Counts{{"matmul", 1}, {"mul", 1}, {"tanh", 1}}));
  EXPECT_EQ(flops(d.before) - flops(d.after), 2.0 * 8 * 16 * 8);
}

TEST(Tutorial, computes_different_products_each) {
  Builder b;
  const Val a = b.input("a", f32({8, 8})), c = b.input("b", f32({8, 8}));
  EXPECT_EQ(optimized(b, ops::matmul(a, c) * ops::tanh(ops::matmul(c, a))).ops().at("matmul"), 2);
}

// ---- Einsum

Done einsum(const std::string& equation, std::vector<ir::Dims> shapes) {
  Builder b;
  std::vector<Val> operands;
  for (size_t k = 0; k < shapes.size(); ++k)
    operands.push_back(b.input(fmt::format("x{}", k), f32(shapes[k])));
  return optimized(b, b.op("einsum", operands, {{"equation", equation}}));
}

TEST(Tutorial, contracts_einsums_in_the_best_order) {
  const Done d = einsum("ij,jk,kl->il", {{200, 20}, {20, 250}, {250, 30}});
  EXPECT_EQ(d.ops(), (Counts{{"matmul", 2}}));
  EXPECT_EQ(flops(d.after), 2.0 * (20 * 250 * 30 + 200 * 20 * 30));
  EXPECT_EQ(flops(einsum("kl,ij,jk->il", {{250, 30}, {200, 20}, {20, 250}}).after), flops(d.after));
  EXPECT_LT(flops(einsum("bij,bjk,k->bi", {{2, 50, 60}, {2, 60, 70}, {70}}).after), 40000);
  EXPECT_EQ(einsum("abc,cd,de,ea->b", {{30, 40, 50}, {50, 60}, {60, 70}, {70, 30}}).ops()["einsum"],
            0);
}

TEST(Tutorial, leaves_what_einsum_alone_can_say) {
  EXPECT_EQ(einsum("ii->i", {{5, 5}}).ops(), (Counts{{"einsum", 1}}));
}

// ---- Constants

TEST(Tutorial, gathers_constants) {
  Builder b, c, e;
  const Done d = optimized(b, (b.input("x", f32({3, 5})) + 3.0) + 4.0);
  EXPECT_EQ(d.ops(), (Counts{{"add", 1}}));
  EXPECT_EQ(flops(d.before), 30);
  EXPECT_EQ(flops(d.after), 15);
  EXPECT_EQ(optimized(c, 3.0 + (4.0 + c.input("x", f32({7})))).ops(), (Counts{{"add", 1}}));
  EXPECT_EQ(optimized(e, (e.input("x", {DType::i64, {2, 2}}) + 3.0) + 4.0).ops(),
            (Counts{{"add", 1}}));
}

TEST(Tutorial, drops_neutral_elements_unless_they_broadcast) {
  Builder b, c, e;
  EXPECT_EQ(optimized(b, 1.0 * b.input("x", f32({3, 5}))).ops(), Counts{});
  EXPECT_EQ(optimized(c, c.input("x", f32({4})) + 0.0).ops(), Counts{});
  const Val ones = e.constant(Tensor::from_floats(std::vector<double>{1, 1}, {2, 1}));
  EXPECT_EQ(optimized(e, e.input("x", f32({3})) * ones).ops(), (Counts{{"mul", 1}}));
}

TEST(Tutorial, keeps_the_sign_of_zero_in_exact_mode) {
  Builder b;
  b.output("y", b.input("x", f32({4})) + 0.0);
  const ir::Graph g = std::move(b).finish();
  OptimizeOptions options;
  options.machine = &two_cores;
  options.mode = rules::Mode::exact;
  EXPECT_EQ(operators(optimize(g, shipped(), options).graph), (Counts{{"add", 1}}));
}

}  // namespace
}  // namespace tessera::search
