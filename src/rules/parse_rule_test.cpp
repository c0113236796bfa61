// SPDX-License-Identifier: Apache-2.0
// The rule language: spelling, errors, what matches and what does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "ops/builder.h"
#include "rules/matcher.h"
#include "rules/rule_set.h"

namespace tessera::rules {
namespace {

using ops::Builder;
using ops::Val;

std::string error_of(std::string_view line) {
  try {
    parse_rules(line, "family");
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

TEST(ParseRule, prints_the_canonical_spelling) {
  const std::string text =
      "name : (add ?y:(conv[group=1, *?p] ?x ?w).0 0.5) => (concat[axis=-1] ?x ?w)"
      " if (= {1, 2} (shape ?x)) mode real when cheaper on ?x[n,2]>0 ?w[k*]:f64 ?p.pads={0, 1}";
  const Rule rule = parse_rule(text, "family", 1);
  EXPECT_EQ(parse_rule(rule.to_string(), "family", 1).to_string(), rule.to_string());
  EXPECT_EQ(rule.right_text(), "(concat[axis=-1] ?x ?w)");
  EXPECT_EQ(rule.condition_text(), "(= {1, 2} (shape ?x))");
}

TEST(ParseRule, names_file_line_and_column_of_a_mistake) {
  EXPECT_EQ(error_of("# a comment\nbad : (frobnicate ?x) => ?x mode exact"),
            "family.rules:2:18: unknown operator 'frobnicate'");
  EXPECT_THAT(error_of("bad : (add ?x) => ?y mode exact"),
              testing::HasSubstr("variable ?y is not on the left side"));
  EXPECT_THAT(error_of("bad : (neg ?x) => ?x"), testing::HasSubstr("expected 'mode exact'"));
  EXPECT_THAT(error_of("bad : (neg[foo=1] ?x) => ?x mode exact"),
              testing::HasSubstr("'neg' has no attribute 'foo'"));
  EXPECT_THAT(error_of("bad : (neg ?x => ?x mode exact"), testing::HasSubstr("family.rules:1:"));
  EXPECT_THAT(error_of("bad : (neg ?x) => ?x if (nonsense ?x) mode exact"),
              testing::HasSubstr("unknown function 'nonsense'"));
  EXPECT_THAT(error_of("a : (neg ?x) => ?x mode real\na : (abs ?x) => ?x mode real"),
              testing::HasSubstr("there is another rule 'a'"));
  EXPECT_THAT(error_of("a : ?x => ?x mode real"), testing::HasSubstr("must be an operator"));
}

int matches(std::string_view text, const ir::Graph& g) {
  const RuleSet set = parse_rules(text, "family");
  const WorkGraph graph(g, {.fold_constants = false});
  int count = 0;
  for (ir::NodeId id = 0; id < graph.node_limit(); ++id)
    find_matches(graph, set.rules()[0], id, [&](const Match&) { return ++count, true; });
  return count;
}

TEST(Matcher, attributes_that_are_not_named_must_have_their_default) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {2, 3}});
  b.output("y", b.op("softmax", {x}, {{"axis", int64_t{0}}}));
  const ir::Graph g = std::move(b).finish();
  EXPECT_EQ(matches("a : (softmax ?x) => ?x mode real", g), 0);
  EXPECT_EQ(matches("a : (softmax[axis=?a] ?x) => ?x mode real", g), 1);
  EXPECT_EQ(matches("a : (softmax[axis=1] ?x) => ?x mode real", g), 0);
  EXPECT_EQ(matches("a : (softmax[*?a] ?x) => ?x mode real", g), 1);
}

TEST(Matcher, commutative_operands_match_in_both_orders) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {2}});
  b.output("y", b.scalar(2, DType::f32) * ops::exp(x));
  b.output("z", b.scalar(2, DType::f32) - ops::exp(x));
  const ir::Graph g = std::move(b).finish();
  EXPECT_EQ(matches("a : (mul (exp ?x) 2) => ?x mode real", g), 1);
  EXPECT_EQ(matches("a : (sub (exp ?x) 2) => ?x mode real", g), 0);
  EXPECT_EQ(matches("a : (mul (exp ?x) 2.5) => ?x mode real", g), 0);
}

TEST(Matcher, rules_over_the_reals_leave_integers_alone) {
  Builder b;
  const Val x = b.input("x", {DType::i32, {2}});
  b.output("y", x + 0.0);
  const ir::Graph g = std::move(b).finish();
  EXPECT_EQ(matches("a : (add ?x 0) => ?x mode real", g), 0);
  EXPECT_EQ(matches("a : (add ?x 0) => ?x mode exact", g), 1);
}

TEST(Matcher, long_literals_match_within_the_rounding_of_the_type) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {2}});
  b.output("y", x * 1.4142135381698608);
  b.output("z", x * 1.41420);
  const ir::Graph g = std::move(b).finish();
  EXPECT_EQ(matches("a : (mul ?x 1.4142135623730951) => ?x mode real", g), 1);
}

TEST(Apply, never_changes_shape_or_type) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {3}});
  b.output("y", x * b.constant(Tensor::from_floats(std::vector<double>{1, 1}, {2, 1})));
  const RuleSet set = parse_rules("a : (mul ?x 1) => ?x mode exact", "family");
  WorkGraph graph(std::move(b).finish());
  const size_t nodes = graph.live_count();
  for (ir::NodeId id = 0; id < graph.node_limit(); ++id)
    find_matches(graph, set.rules()[0], id, [&](const Match& m) { return !apply(graph, m); });
  EXPECT_EQ(graph.live_count(), nodes);
}

TEST(WorkGraph, merges_equal_nodes_and_drops_dead_ones) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {3}});
  ops::exp(ops::tanh(x));
  b.output("y", ops::tanh(x) + ops::tanh(x));
  const WorkGraph graph(std::move(b).finish());
  EXPECT_EQ(graph.live_count(), 3u);
  EXPECT_EQ(graph.to_graph().node_count(), 3u);
}

TEST(WorkGraph, replacing_a_value_merges_the_users_that_become_equal) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {3}});
  const Val y = ops::exp(x), z = ops::tanh(x);
  b.output("a", ops::sqrt(ops::log(y)));
  b.output("b", ops::sqrt(ops::log(z)));
  WorkGraph graph(std::move(b).finish());
  graph.replace(z.value, y.value);
  const ir::Graph g = graph.to_graph();
  EXPECT_EQ(g.node_count(), 4u);
  EXPECT_EQ(g.outputs()[0].value, g.outputs()[1].value);
}

}  // namespace
}  // namespace tessera::rules
