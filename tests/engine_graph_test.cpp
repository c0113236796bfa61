// SPDX-License-Identifier: Apache-2.0
// The CPU engine computes what the reference computes, on random graphs.
#include <gtest/gtest.h>

#include "backend/cpu/target.h"
#include "ops/evaluate.h"
#include "plan/compile.h"
#include "random_graph.h"

namespace tessera::testing {
namespace {

// f32 against float64; chains are at most a dozen operators long and values stay near 1.
constexpr double tolerance = 2e-4;

std::vector<Tensor> run(const ir::Graph& graph, const std::vector<Tensor>& inputs,
                        const plan::CompileOptions& options) {
  const auto target = backend::cpu::make_target();
  return plan::compile(graph, *target, options)->run(inputs);
}

double worst_over(std::span<const Tensor> a, std::span<const Tensor> b) {
  double worst = 0;
  for (size_t k = 0; k < a.size(); ++k) worst = std::max(worst, worst_difference(a[k], b[k]));
  return worst;
}

TEST(EngineGraphs, agree_with_the_reference) {
  EXPECT_EQ(find_counterexample(1000, 200, tolerance,
                                [](const ir::Graph& graph, const auto& inputs) {
                                  return worst_over(run(graph, inputs, {.threads = 1}),
                                                    ops::evaluate(graph, inputs));
                                }),
            "");
}

TEST(EngineGraphs, agree_with_the_reference_when_nothing_is_fused) {
  EXPECT_EQ(find_counterexample(2000, 200, tolerance,
                                [](const ir::Graph& graph, const auto& inputs) {
                                  return worst_over(
                                      run(graph, inputs, {.threads = 2, .fuse = false}),
                                      ops::evaluate(graph, inputs));
                                }),
            "");
}

TEST(EngineGraphs, repeat_every_bit) {
  EXPECT_EQ(find_counterexample(3000, 60, 0,
                                [](const ir::Graph& graph, const auto& inputs) {
                                  const auto target = backend::cpu::make_target();
                                  const auto plan = plan::compile(graph, *target, {.threads = 2});
                                  const auto first = plan->run(inputs);
                                  return worst_over(plan->run(inputs), first);
                                }),
            "");
}

}  // namespace
}  // namespace tessera::testing
