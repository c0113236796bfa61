// SPDX-License-Identifier: Apache-2.0
// The promises of the search.
#include "search/optimize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "ops/builder.h"

namespace tessera::search {
namespace {

using ops::Builder;
using ops::Val;

const rules::RuleSet& shipped() {
  static const rules::RuleSet set = rules::load_rules("rules", {.untested = true});
  return set;
}

const cost::Machine machine{.threads = 2, .flops_per_second = 2e11, .bytes_per_second = 2e10};

ir::Graph sample() {
  Builder b;
  const Val x = b.input("x", {DType::f32, {4, 4}});
  const Val y = ((x * 1.0 + 3.0) + 4.0) / 1.0;
  b.output("y", y);
  b.output("also y", y);
  b.output("x", x);
  return std::move(b).finish();
}

TEST(Optimize, keeps_names_and_order_of_inputs_and_outputs) {
  const OptimizeResult r = optimize(sample(), shipped(), {.machine = &machine});
  ASSERT_EQ(r.graph.outputs().size(), 3u);
  EXPECT_EQ(r.graph.outputs()[0].name, "y");
  EXPECT_EQ(r.graph.outputs()[1].name, "also y");
  EXPECT_EQ(r.graph.outputs()[2].name, "x");
  EXPECT_EQ(r.graph.node(r.graph.inputs()[0]).name, "x");
  EXPECT_EQ(r.graph.node(r.graph.outputs()[0].value.node).metadata.at("tessera.rules"),
            "add-add-const");
}

TEST(Optimize, derivations_replay_to_the_same_graph) {
  const ir::Graph g = sample();
  const OptimizeResult r = optimize(g, shipped(), {.machine = &machine});
  const auto again = rules::derivation_from_text(rules::to_text(r.derivation));
  const ir::Graph replayed = rules::replay(g, again, shipped());
  ASSERT_EQ(replayed.node_count(), r.graph.node_count());
  for (ir::NodeId k = 0; k < replayed.node_count(); ++k) {
    EXPECT_EQ(replayed.node(k).op, r.graph.node(k).op);
    EXPECT_EQ(replayed.node(k).inputs, r.graph.node(k).inputs);
  }
}

TEST(Optimize, replay_refuses_a_step_that_does_not_apply) {
  EXPECT_THROW(rules::replay(sample(), {{"neg-neg", 1, 0, ""}}, shipped()), UserError);
  EXPECT_THROW(rules::replay(sample(), {{"no-such-rule", 1, 0, ""}}, shipped()), UserError);
}

TEST(Optimize, disabled_rules_do_not_fire) {
  const OptimizeResult r =
      optimize(sample(), shipped(), {.disabled = {"add-add-const"}, .machine = &machine});
  EXPECT_EQ(r.rules_used.count("add-add-const"), 0u);
  EXPECT_EQ(r.rules_used.count("mul-one"), 1u);
}

TEST(Optimize, its_own_output_optimizes_to_itself) {
  const OptimizeResult once = optimize(sample(), shipped(), {.machine = &machine});
  const OptimizeResult twice = optimize(once.graph, shipped(), {.machine = &machine});
  EXPECT_TRUE(twice.derivation.empty());
  EXPECT_EQ(twice.graph.node_count(), once.graph.node_count());
}

TEST(Optimize, stops_when_the_budget_ends) {
  const OptimizeResult r =
      optimize(sample(), shipped(), {.budget_seconds = 0, .machine = &machine});
  EXPECT_LE(r.cost_after, r.cost_before);
  EXPECT_NE(r.stop, StopReason::saturated);
}

TEST(Machine, measures_plausible_peaks) {
  const cost::Machine& m = cost::this_machine(1);
  EXPECT_GT(m.flops_per_second, 1e8);
  EXPECT_GT(m.bytes_per_second, 1e8);
  EXPECT_EQ(&m, &cost::this_machine(1));
}

}  // namespace
}  // namespace tessera::search
