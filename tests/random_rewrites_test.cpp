// SPDX-License-Identifier: Apache-2.0
// Rewriting random graphs changes no value, and derivations lead to the result.
#include <gtest/gtest.h>

#include "ops/evaluate.h"
#include "ops/hash.h"
#include "random_graph.h"
#include "search/optimize.h"

namespace tessera::testing {
namespace {

const cost::Machine machine{.threads = 2, .flops_per_second = 2e11, .bytes_per_second = 2e10};

double worst_over(std::span<const Tensor> a, std::span<const Tensor> b) {
  double worst = 0;
  for (size_t k = 0; k < a.size(); ++k) worst = std::max(worst, worst_difference(a[k], b[k]));
  return worst;
}

TEST(RandomRewrites, keep_every_value) {
  const rules::RuleSet rules = rules::load_rules("rules");
  int rewritten = 0;
  const std::string found =
      find_counterexample(1000, 300, 1e-5, [&](const ir::Graph& graph, const auto& inputs) {
        const auto result = search::optimize(graph, rules, {.max_graphs = 20, .machine = &machine});
        rewritten += !result.derivation.empty();
        return worst_over(ops::evaluate(result.graph, inputs), ops::evaluate(graph, inputs));
      });
  EXPECT_EQ(found, "");
  EXPECT_GT(rewritten, 30);
}

TEST(RandomRewrites, replay_to_the_same_graph) {
  const rules::RuleSet rules = rules::load_rules("rules");
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const ir::Graph graph = RandomGraph(seed).grow(12);
    const auto result = search::optimize(graph, rules, {.max_graphs = 20, .machine = &machine});
    EXPECT_LE(result.cost_after, result.cost_before);
    if (result.derivation.empty()) continue;
    const ir::Graph again = rules::replay(graph, result.derivation, rules);
    EXPECT_EQ(ops::identity_hash(again), ops::identity_hash(result.graph)) << "seed " << seed;
  }
}

TEST(RandomRewrites, exact_mode_keeps_every_bit) {
  const rules::RuleSet rules = rules::load_rules("rules");
  const std::string found =
      find_counterexample(5000, 150, 0, [&](const ir::Graph& graph, const auto& inputs) {
        const auto result = search::optimize(
            graph, rules, {.mode = rules::Mode::exact, .max_graphs = 20, .machine = &machine});
        return worst_over(ops::evaluate(result.graph, inputs, {.wide = false}),
                          ops::evaluate(graph, inputs, {.wide = false}));
      });
  EXPECT_EQ(found, "");
}

}  // namespace
}  // namespace tessera::testing
