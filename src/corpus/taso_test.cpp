// SPDX-License-Identifier: Apache-2.0
// TASO's rules as data: reading, true ones, and the false ones that its verifier let through.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "corpus/taso_verdict.h"

namespace tessera::corpus {
namespace {

#define CONV "conv2d [kernel_h=3 kernel_w=3 stride_h=1 stride_w=1 pad=same acti=none]"
#define CONV13 "conv2d [kernel_h=1 kernel_w=3 stride_h=1 stride_w=1 pad=same acti=none]"
#define POOL "avgpool2d [kernel_h=3 kernel_w=3 stride_h=1 stride_w=1 pad=same acti=none]"

TasoVerdict verdict(const char* line) {
  return decide(parse_taso_rule(line, "rule"), {.instances = 80});
}

TEST(TasoRule, reads_outputs_attributes_and_variables) {
  const TasoRule r = parse_taso_rule(
      "(relu ?x1) , (relu ?x2)  ==>  (split [axis=1] (relu (concat [axis=1 ndim=2] ?x1 ?x2))).0 , "
      "(split [axis=1] (relu (concat [axis=1 ndim=2] ?x1 ?x2))).1",
      "r");
  ASSERT_EQ(r.right.size(), 2u);
  EXPECT_EQ(r.right[1].output, 1);
  EXPECT_EQ(r.right[1].args[0].args[0].integer("ndim"), 2);
  EXPECT_EQ(r.left[1].args[0].variable, "x2");
}

TEST(TasoRule, names_rule_and_column_of_an_error) {
  try {
    parse_taso_rule("(relu ?x1) ==> (relu ?x1", "shipped:7");
    FAIL();
  } catch (const UserError& e) {
    EXPECT_STREQ(e.what(), "rule shipped:7, column 25: expected ( or ?");
  }
}

TEST(TasoRule, refuses_unknown_operators) {
  EXPECT_THROW(verdict("(softmax ?x) ==> ?x"), UserError);
  EXPECT_THROW(verdict("(" POOL " ?x) ==> (avgpool2d [kernel_h=3 kernel_w=3 stride_h=2 "
                       "stride_w=1 pad=same acti=none] ?x)"),
               UserError);
}

TEST(TasoRule, true_rules_hold_on_all_instances) {
  for (const char* line :
       {"(matmul [acti=none] (matmul [acti=none] ?x1 ?x4) ?x5) ==> "
        "(matmul [acti=none] ?x1 (matmul [acti=none] ?x4 ?x5))",
        "(" CONV " ?x7 (ewadd ?x10 ?x11)) ==> (ewadd (" CONV " ?x7 ?x10) (" CONV " ?x7 ?x11))",
        "(" CONV13 " ?x7 ?x13) ==> (" CONV " ?x7 (enlarge [kernel_h=3 kernel_w=3] ?x13))",
        "(" POOL " ?x7) ==> (" CONV " ?x7 (pool_weight [kernel_h=3 kernel_w=3]))",
        "(" CONV " ?x7 (identity_conv [kernel_h=3 kernel_w=3])) ==> ?x7",
        "(matmul [acti=none] ?x1 (identity_matrix)) ==> ?x1",
        "(ewadd ?x8 (ewmul ?x7 ?x8)) ==> (ewmul ?x8 (ewadd ?x7 (ones)))",
        "(split [axis=0] (transpose [ndim=2 perm=2 outshuffle=0] (concat [axis=1 ndim=2] ?x1 "
        "?x2))).1 ==> (transpose [ndim=2 perm=2 outshuffle=1] ?x2)"}) {
    const TasoVerdict v = verdict(line);
    EXPECT_EQ(v.truth, Truth::holds) << line << "\n" << v.counterexample;
    EXPECT_GE(v.instances, 40) << line;
  }
}

// The second field is the condition under which the rule is true ("": none of those tried).
struct FalseRule {
  const char *name, *condition, *text;
};

class FalseRules : public testing::TestWithParam<FalseRule> {};

TEST_P(FalseRules, is_refuted_with_a_counterexample) {
  const TasoVerdict v = verdict(GetParam().text);
  EXPECT_EQ(v.truth, Truth::fails);
  EXPECT_THAT(v.counterexample, testing::HasSubstr("on the left"));
  EXPECT_EQ(v.condition, GetParam().condition);
}

INSTANTIATE_TEST_SUITE_P(
    taso, FalseRules,
    testing::Values(
        FalseRule{"convolutions_merged_into_groups_of_unequal_channels",
                  "concatenated operands have equal shapes",
                  "(concat [axis=1 ndim=4] (" CONV " ?x7 ?x10) (" CONV " ?x8 ?x11)) ==> (" CONV
                  " (concat [axis=1 ndim=4] ?x7 ?x8) (concat [axis=0 ndim=4] ?x10 ?x11))"},
        FalseRule{"output_channels_merged_with_groups", "groups = 1",
                  "(concat [axis=1 ndim=4] (" CONV " ?x7 ?x10) (" CONV " ?x7 ?x11)) ==> (" CONV
                  " ?x7 (concat [axis=0 ndim=4] ?x10 ?x11))"},
        FalseRule{"input_channels_merged_with_groups", "groups = 1",
                  "(ewadd (" CONV " ?x7 ?x10) (" CONV " ?x8 ?x11)) ==> (" CONV
                  " (concat [axis=1 ndim=4] ?x7 ?x8) (concat [axis=1 ndim=4] ?x10 ?x11))"},
        FalseRule{"multiplication_dropped_after_a_convolution", "",
                  "(ewmul (" CONV " ?x7 ?x10) ?x8) ==> (" CONV " ?x7 ?x10)"},
        FalseRule{"average_pool_moved_before_a_padded_convolution", "",
                  "(" CONV13 " (" POOL " ?x7) ?x13) ==> (" POOL " (" CONV13 " ?x7 ?x13))"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace tessera::corpus
