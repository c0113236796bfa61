// SPDX-License-Identifier: Apache-2.0
// The tutorial rewrites and the promises of the search.
#include "search/optimize.h"

#include <gtest/gtest.h>

#include "ops/builder.h"
#include "ops/evaluate.h"
#include "rules/sample.h"

namespace tessera::search {
namespace {

using ops::Builder;
using ops::Val;

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

std::map<std::string, int> operators(const ir::Graph& g) {
  std::map<std::string, int> counts;
  for (const ir::Node& n : g.nodes())
    if (n.op != "input" && n.op != "constant") ++counts[n.op];
  return counts;
}

OptimizeResult optimized(const ir::Graph& g, std::set<std::string> disabled = {}) {
  OptimizeOptions options;
  options.machine = &two_cores;
  options.disabled = std::move(disabled);
  OptimizeResult r = optimize(g, shipped(), options);
  EXPECT_LE(r.cost_after, r.cost_before);
  return r;
}

void expect_same_function(const ir::Graph& a, const ir::Graph& b) {
  Rng rng(3);
  const auto inputs = rules::random_inputs(a, rng, false);
  const auto x = ops::evaluate(a, inputs), y = ops::evaluate(b, inputs);
  ASSERT_EQ(x.size(), y.size());
  for (size_t k = 0; k < x.size(); ++k) {
    ASSERT_EQ(x[k].shape(), y[k].shape());
    double error = 0, scale = 1e-30;
    for (int64_t i = 0; i < x[k].size(); ++i) {
      error = std::max(error, std::abs(x[k].float_at(i) - y[k].float_at(i)));
      scale = std::max(scale, std::abs(x[k].float_at(i)));
    }
    EXPECT_LE(error, 1e-6 * scale);
  }
}

TEST(Optimize, gathers_constants_that_are_added) {
  Builder b;
  b.output("y", (b.input("x", f32({3, 5})) + 3.0) + 4.0);
  const ir::Graph g = std::move(b).finish();
  const OptimizeResult r = optimized(g);
  EXPECT_EQ(operators(r.graph), (std::map<std::string, int>{{"add", 1}}));
  EXPECT_EQ(r.before.flops, 30);
  EXPECT_EQ(r.after.flops, 15);
  expect_same_function(g, r.graph);
}

TEST(Optimize, orders_matrix_chains_by_shape) {
  Builder b;
  Val x = ops::matmul(b.input("a", f32({1000, 10})), b.input("b", f32({10, 1000})));
  x = ops::matmul(ops::matmul(x, b.input("c", f32({1000, 10}))), b.input("d", f32({10, 1})));
  b.output("y", x);
  const ir::Graph g = std::move(b).finish();
  const OptimizeResult r = optimized(g);
  EXPECT_EQ(operators(r.graph), (std::map<std::string, int>{{"matmul", 3}}));
  // 2 * (10^3 · 10 · 1 three times) instead of two products with 10^7 multiplications.
  EXPECT_EQ(r.after.flops, 60000);
  EXPECT_EQ(r.rules_used.at("matrix-chain"), 1);
  EXPECT_EQ(optimized(g, {"matrix-chain"}).rules_used.count("matrix-chain"), 0u);
}

TEST(Optimize, computes_a_repeated_product_once) {
  Builder b;
  const Val a = b.input("a", f32({8, 16})), c = b.input("b", f32({16, 8}));
  b.output("y", ops::matmul(a, c) * ops::tanh(ops::matmul(a, c)));
  const OptimizeResult r = optimized(std::move(b).finish());
  EXPECT_EQ(operators(r.graph).at("matmul"), 1);
}

TEST(Optimize, derivations_replay_to_the_same_graph) {
  Builder b;
  const Val x = b.input("x", f32({4, 4}));
  b.output("y", ((x * 1.0 + 3.0) + 4.0) / 1.0);
  const ir::Graph g = std::move(b).finish();
  const OptimizeResult r = optimized(g);
  const auto again = rules::derivation_from_text(rules::to_text(r.derivation));
  const ir::Graph replayed = rules::replay(g, again, shipped());
  ASSERT_EQ(replayed.node_count(), r.graph.node_count());
  for (ir::NodeId k = 0; k < replayed.node_count(); ++k)
    EXPECT_EQ(replayed.node(k).op, r.graph.node(k).op);
}

}  // namespace
}  // namespace tessera::search
