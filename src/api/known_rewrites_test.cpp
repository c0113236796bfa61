// SPDX-License-Identifier: Apache-2.0
// Derivations on disk: found again, never used where something differs, never wrong.
#include "api/known_rewrites.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "api/load.h"
#include "api/optimize.h"
#include "base/build_id.h"
#include "base/rng.h"
#include "ops/builder.h"
#include "ops/evaluate.h"
#include "ops/hash.h"

namespace tessera::api {
namespace {

namespace fs = std::filesystem;

class KnownRewritesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "tessera-known-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    options_.threads = 1;
    options_.cache_folder = (root_ / "cache").string();
    options_.progress = [this](const std::string& what) {
      searched_ |= what.starts_with("descent");
    };
  }
  void TearDown() override { fs::remove_all(root_); }

  // The result, and whether it took a search.
  ir::Graph optimize(const ir::Graph& graph) {
    searched_ = false;
    return optimize_quickly(graph, options_);
  }

  std::vector<fs::path> entries() const {
    std::vector<fs::path> paths;
    for (const auto& file : fs::directory_iterator(options_.cache_folder))
      paths.push_back(file.path());
    return paths;
  }

  fs::path root_;
  Options options_;
  bool searched_ = false;
};

Tensor random(Shape shape, uint64_t seed) {
  Rng rng(seed);
  Tensor t(DType::f32, std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i) t.set_float(i, rng.normal());
  return t;
}

// Three products of one input, a factor, and a transposition of a transposition.
ir::Graph block(const Tensor& weights, double factor, int64_t rows = 8) {
  ops::Builder b;
  const auto x = b.input("x", {DType::f32, {rows, 64}});
  std::vector<ops::Val> results;
  for (uint64_t k = 0; k < 2; ++k)
    results.push_back(b.op("matmul", {x, b.constant(random({64, 64}, 7 + k))}));
  results.push_back(b.op("matmul", {x, b.constant(weights)}));
  ops::Val y = results[0] + results[1] * results[2];
  y = ops::transpose(ops::transpose(y, {1, 0}), {1, 0});
  b.output("y", y * b.constant(Tensor::from_floats(std::vector<double>{factor}, {})));
  return std::move(b).finish();
}

TEST_F(KnownRewritesTest, a_second_search_is_a_replay_with_the_same_result) {
  ASSERT_FALSE(build_id().empty());
  const ir::Graph graph = block(random({64, 64}, 1), 0.5);
  const ir::Graph cold = optimize(graph);
  EXPECT_TRUE(searched_);
  EXPECT_LT(cold.node_count(), graph.node_count()) << "there is something to replay";
  const ir::Graph warm = optimize(graph);
  EXPECT_FALSE(searched_);
  EXPECT_EQ(ops::identity_hash(warm), ops::identity_hash(cold));
  EXPECT_EQ(sampled_hash(warm), sampled_hash(cold));
}

TEST_F(KnownRewritesTest, whatever_differs_is_searched_anew) {
  const Tensor weights = random({64, 64}, 1);
  optimize(block(weights, 0.5));
  optimize(block(weights, 1));  // ·1 goes away
  EXPECT_TRUE(searched_);
  optimize(block(weights, 0.5, 9));
  EXPECT_TRUE(searched_);
  optimize(block(random({64, 64}, 2), 0.5));
  EXPECT_TRUE(searched_);
  options_.disabled_rules = {"algebra"};
  optimize(block(weights, 0.5));
  EXPECT_TRUE(searched_);
  options_.disabled_rules = {};
  options_.threads = 2;
  optimize(block(weights, 0.5));
  EXPECT_TRUE(searched_);
  options_.threads = 1;
  fs::copy(rules_folder(options_), root_ / "rules");
  options_.rules_folder = (root_ / "rules").string();
  optimize(block(weights, 0.5));
  EXPECT_FALSE(searched_) << "the same rules elsewhere";
  std::ofstream(root_ / "rules" / "arith.rules", std::ios::app) << "\n";
  optimize(block(weights, 0.5));
  EXPECT_TRUE(searched_);
}

// Large constants are known by samples. One that differs elsewhere meets the same derivation, whose
// conditions are then evaluated on it: what does not hold any more is searched anew.
TEST_F(KnownRewritesTest, constants_that_look_alike_never_give_a_wrong_result) {
  const auto graph_of = [](double odd) {
    ops::Builder b;
    const auto x = b.input("x", {DType::f32, {4, 64, 64}});
    Tensor ones(DType::f32, {64, 64});
    for (int64_t i = 0; i < ones.size(); ++i) ones.set_float(i, 1);
    ones.set_float(20, odd);  // between the first two samples
    b.output("y", b.op("relu", {x * b.constant(ones)}));
    return std::move(b).finish();
  };
  const ir::Graph uniform = graph_of(1), other = graph_of(3);
  ASSERT_EQ(sampled_hash(uniform), sampled_hash(other)) << "the samples have moved";
  EXPECT_EQ(count_operators(optimize(uniform)).count("mul"), 0u);
  const ir::Graph found = optimize(other);
  EXPECT_TRUE(searched_);
  const std::vector<Tensor> inputs{random({4, 64, 64}, 3)};
  EXPECT_TRUE(identical(ops::evaluate(found, inputs)[0], ops::evaluate(other, inputs)[0]));
}

TEST_F(KnownRewritesTest, damaged_and_foreign_entries_are_searched_anew) {
  const ir::Graph graph = block(random({64, 64}, 1), 0.5);
  const Hash128 cold = ops::identity_hash(optimize(graph));
  const std::vector<fs::path> paths = entries();
  ASSERT_EQ(paths.size(), 1u);
  fs::resize_file(paths[0], fs::file_size(paths[0]) - 3);
  EXPECT_EQ(ops::identity_hash(optimize(graph)), cold);
  EXPECT_TRUE(searched_);
  optimize(graph);
  EXPECT_FALSE(searched_) << "the search has mended it";
  // A well-formed entry that leads elsewhere.
  KnownRewrites(graph, options_, 5, {rules_folder(options_)})
      .keep({}, block(random({64, 64}, 9), 1));
  EXPECT_EQ(ops::identity_hash(optimize(graph)), cold);
}

TEST_F(KnownRewritesTest, nothing_is_kept_without_a_folder) {
  options_.cache_folder.clear();
  const ir::Graph graph = block(random({64, 64}, 1), 0.5);
  optimize(graph);
  optimize(graph);
  EXPECT_TRUE(searched_);
}

}  // namespace
}  // namespace tessera::api
