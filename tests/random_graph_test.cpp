// SPDX-License-Identifier: Apache-2.0
// The quick reference evaluator agrees with the arbiter on random graphs.
#include "random_graph.h"

#include <gtest/gtest.h>

#include "ops/evaluate.h"

namespace tessera::testing {
namespace {

double worst_over(std::span<const Tensor> a, std::span<const Tensor> b) {
  double worst = 0;
  for (size_t k = 0; k < a.size(); ++k) worst = std::max(worst, worst_difference(a[k], b[k]));
  return worst;
}

TEST(RandomGraphs, loops_agree_with_the_tree_walker) {
  const std::string found =
      find_counterexample(1, 150, 1e-11, [](const ir::Graph& graph, const auto& inputs) {
        const auto tree = ops::evaluate(graph, inputs, {.tier = ops::Tier::tree});
        const auto loops = ops::evaluate(graph, inputs, {.tier = ops::Tier::loops});
        return worst_over(loops, tree);
      });
  EXPECT_EQ(found, "");
}

TEST(RandomGraphs, thread_count_changes_nothing) {
  const std::string found =
      find_counterexample(500, 60, 0, [](const ir::Graph& graph, const auto& inputs) {
        const auto one = ops::evaluate(graph, inputs, {.threads = 1});
        const auto two = ops::evaluate(graph, inputs, {.threads = 2});
        return worst_over(two, one);
      });
  EXPECT_EQ(found, "");
}

}  // namespace
}  // namespace tessera::testing
