// SPDX-License-Identifier: Apache-2.0
// The tutorial programs in examples/: operators, flops and peak bytes before and after rewriting.
#include <gtest/gtest.h>

#include <cmath>

#include "lang/parse.h"
#include "ops/counts.h"
#include "ops/evaluate.h"
#include "rules/sample.h"
#include "search/optimize.h"

namespace tessera {
namespace {

using Counts = std::map<std::string, int>;

const cost::Machine two_cores{.threads = 2,
                              .flops_per_second = 2e11,
                              .bytes_per_second = 2e10,
                              .cache_bytes_per_second = 1e11,
                              .launch_seconds = 3e-6};

struct Tutorial {
  ir::Graph before, after;
  search::OptimizeResult result;

  explicit Tutorial(const std::string& name) {
    before = lang::parse_file("examples/" + name + ".tsr");
    const rules::RuleSet rules = rules::load_rules("rules");
    result = search::optimize(before, rules, {.machine = &two_cores});
    after = result.graph;
    Rng rng(7);
    const auto inputs = rules::random_inputs(before, rng, false);
    const auto x = ops::evaluate(before, inputs), y = ops::evaluate(after, inputs);
    EXPECT_EQ(x.size(), y.size());
    for (size_t k = 0; k < x.size(); ++k) {
      EXPECT_EQ(after.outputs()[k].name, before.outputs()[k].name);
      double error = 0, norm = 0;
      for (int64_t i = 0; i < x[k].size(); ++i) {
        error += std::pow(x[k].float_at(i) - y[k].float_at(i), 2);
        norm += std::pow(x[k].float_at(i), 2);
      }
      EXPECT_LE(std::sqrt(error / norm), 1e-6) << name;
    }
  }

  static Counts operators(const ir::Graph& g) {
    Counts counts;
    for (const ir::Node& n : g.nodes())
      if (n.op != "input" && n.op != "constant") ++counts[n.op];
    return counts;
  }
  Counts ops() const { return operators(after); }
  double flops_before() const { return ops::count(before).flops; }
  double flops_after() const { return ops::count(after).flops; }
  int64_t peak_before() const { return ops::peak_bytes(before); }
  int64_t peak_after() const { return ops::peak_bytes(after); }
};

TEST(Examples, distribute) {
  const Tutorial t("distribute");
  EXPECT_EQ(Tutorial::operators(t.before), (Counts{{"add", 1}, {"matmul", 2}}));
  EXPECT_EQ(t.ops(), (Counts{{"add", 1}, {"matmul", 1}}));
  EXPECT_EQ(t.flops_before(), 2 * 2.0 * 128 * 256 * 512 + 128 * 512);
  EXPECT_EQ(t.flops_after(), 2.0 * 128 * 256 * 512 + 256 * 512);
  EXPECT_EQ(t.peak_before(), 3 * 128 * 512 * 4);
  EXPECT_EQ(t.peak_after(), (256 * 512 + 128 * 512) * 4);
}

TEST(Examples, qkv) {
  const Tutorial t("qkv");
  EXPECT_EQ(Tutorial::operators(t.before), (Counts{{"matmul", 3}}));
  EXPECT_EQ(t.ops(), (Counts{{"matmul", 1}, {"split", 1}}));
  EXPECT_EQ(t.flops_before(), 3 * 2.0 * 64 * 256 * 256);
  EXPECT_EQ(t.flops_after(), t.flops_before());
  EXPECT_EQ(t.peak_before(), 3 * 64 * 256 * 4);
  EXPECT_LE(t.peak_after(), 2 * t.peak_before());  // the engine's parts are views
}

TEST(Examples, batchnorm_relu) {
  const Tutorial t("batchnorm_relu");
  EXPECT_EQ(t.ops()["batch_normalization"], 1);
  EXPECT_EQ(t.ops()["relu"], 1);
  EXPECT_EQ(t.ops()["sqrt"] + t.ops()["div"] + t.ops()["max"] + t.ops()["add"], 0);
  EXPECT_LE(t.result.after.kernels, t.result.before.kernels);
  EXPECT_LE(t.peak_after(), t.peak_before());
}

TEST(Examples, matrix_chain) {
  const Tutorial t("matrix_chain");
  EXPECT_EQ(t.ops(), (Counts{{"matmul", 3}}));
  EXPECT_EQ(t.flops_before(), 2.0 * (1e7 + 1e7 + 1e4));
  EXPECT_EQ(t.flops_after(), 60000);
  EXPECT_EQ(t.peak_before(), (1000 * 1000 + 1000 * 10) * 4);
  EXPECT_EQ(t.peak_after(), (1000 + 10) * 4);
}

TEST(Examples, transposes) {
  const Tutorial t("transposes");
  EXPECT_EQ(Tutorial::operators(t.before), (Counts{{"matmul", 1}, {"transpose", 5}}));
  EXPECT_EQ(t.ops(), (Counts{{"matmul", 1}}));
  EXPECT_EQ(t.flops_after(), 2.0 * 64 * 96 * 32);
  EXPECT_EQ(t.peak_after(), 64 * 32 * 4);
}

TEST(Examples, repeated_product) {
  const Tutorial t("repeated_product");
  EXPECT_EQ(Tutorial::operators(t.before).at("matmul"), 3);
  EXPECT_EQ(t.ops(), (Counts{{"add", 1}, {"matmul", 1}, {"mul", 1}, {"relu", 1}}));
  EXPECT_EQ(t.flops_before() - t.flops_after(), 2 * 2.0 * 64 * 128 * 64);
  EXPECT_LE(t.peak_after(), t.peak_before());
}

TEST(Examples, einsum_order) {
  const Tutorial t("einsum_order");
  EXPECT_EQ(t.ops()["einsum"], 0);
  EXPECT_LE(t.ops()["matmul"], 4);  // A·(B·v) for either output
  EXPECT_LE(t.flops_after(), 2 * 2 * 2.0 * 512 * 16);
  EXPECT_GT(t.flops_before(), 100 * t.flops_after());
  EXPECT_LT(t.peak_after(), t.peak_before() / 100);
}

TEST(Examples, arithmetic) {
  const Tutorial t("arithmetic");
  EXPECT_EQ(t.ops(), (Counts{{"add", 1}}));
  EXPECT_EQ(t.flops_before(), 4 * 256);
  EXPECT_EQ(t.flops_after(), 256);
}

}  // namespace
}  // namespace tessera
