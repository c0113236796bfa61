// SPDX-License-Identifier: Apache-2.0
// The harness itself on planted rules, and a sample of the shipped ones.
#include "corpus/soundness.h"

#include <gtest/gtest.h>

namespace tessera::corpus {
namespace {

SoundnessReport report(const char* rule) {
  const rules::RuleSet set = rules::parse_rules(rule, "test");
  return check_soundness(set.rules().at(0), {.instances = 60});
}

TEST(Soundness, refutes_false_rules) {
  EXPECT_NE(report("r : (relu (add ?x ?y)) => (add (relu ?x) (relu ?y)) mode real").failure, "");
  // True for one group only; the sample clause never mentions another number.
  EXPECT_NE(report("r : (conv[*?p] ?x (concat[axis=0] ?w...)) => (concat[axis=1] (conv[*?p] ?x "
                   "?w)...) mode real on ?x[n,4,5] ?w[m*,4,2] | ?x[n,4,5] ?w[2,2,2] ?p.group=2")
                .failure,
            "");
}

TEST(Soundness, says_which_conditions_are_needed) {
  const SoundnessReport r = report(
      "r : (matmul (mul ?x ?s) ?y) => (mul (matmul ?x ?y) ?s) if (= (rank ?s) 0) (= (rank ?x) 2) "
      "mode real on ?x[n,k] ?y[k,m] ?s[]");
  EXPECT_EQ(r.failure, "");
  EXPECT_EQ(r.instances, 60);
  ASSERT_EQ(r.conditions.size(), 2u);
  EXPECT_EQ(r.conditions[0].text, "(= (rank ?s) 0)");
  EXPECT_EQ(r.conditions[0].kind, ConditionReport::Kind::needed);
  EXPECT_EQ(r.conditions[1].kind, ConditionReport::Kind::too_strong);
}

TEST(Soundness, conditions_on_constants_are_policy) {
  const SoundnessReport r = report("r : (sub ?x ?c) => (add ?x (neg ?c)) if (const ?c) mode real");
  EXPECT_EQ(r.conditions.at(0).kind, ConditionReport::Kind::policy);
}

// All rules with 1,000 instances each: build/release/tools/rule_soundness.
TEST(Soundness, no_shipped_rule_is_false) {
  const auto rules = rules::load_rules("rules");
  for (const rules::Rule& rule : rules.rules())
    EXPECT_EQ(check_soundness(rule, {.instances = 6, .attempts = 10, .seed = 3}).failure, "")
        << rule.name;
}

}  // namespace
}  // namespace tessera::corpus
