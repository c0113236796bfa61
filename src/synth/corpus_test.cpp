// SPDX-License-Identifier: Apache-2.0
// The learned rules that are checked in: they load with their statuses and hold on instances that
// they were not learned from.
#include <gtest/gtest.h>

#include "audit/audit.h"
#include "base/check.h"
#include "rules/rule_set.h"
#include "rules/sample.h"

namespace tessera::synth {

TEST(LearnedCorpus, every_rule_has_a_certificate) {
  const rules::RuleSet all = rules::load_rules("rules/learned");
  size_t proved = 0;
  for (const rules::Rule& rule : all.rules())
    if (all.status(rule) == rules::Status::proved) ++proved;
  EXPECT_GT(all.rules().size(), 300u);
  EXPECT_GE(100 * proved, 95 * all.rules().size());
  for (const std::string& name : all.left_out()) ADD_FAILURE() << name << " has no certificate";
}

TEST(LearnedCorpus, a_sample_holds_on_fresh_instances) {
  const rules::RuleSet all = rules::load_rules("rules/learned");
  int checked = 0;
  for (size_t k = 0; k < all.rules().size(); k += 23) {
    const rules::Rule& rule = all.rules()[k];
    if (rule.name.ends_with("-reversed")) continue;
    const auto report = rules::check_rule(rule, {.instances = 40, .attempts = 800, .seed = 4242});
    EXPECT_TRUE(report.ok) << rule.name << ": " << report.message;
    ++checked;
  }
  EXPECT_GT(checked, 10);
}

TEST(LearnedCorpus, holds_in_exact_arithmetic) {
  const rules::RuleSet all = rules::load_rules("rules/learned");
  for (const rules::Rule& rule : all.rules()) {
    const auto report = audit::audit(rule, {.instances = 24});
    EXPECT_EQ(report.failure, "") << rule.name;
  }
}

TEST(LearnedCorpus, holds_what_must_be_found) {
  const rules::RuleSet all = rules::load_rules("rules/learned");
  const auto has = [&](const std::string& left, const std::string& right) {
    for (const rules::Rule& r : all.rules()) {
      const bool forward = r.left_text() == left && r.right_text() == right;
      const bool back = r.left_text() == right && r.right_text() == left;
      if (forward || back) return true;
    }
    return false;
  };
  EXPECT_TRUE(has("(matmul (matmul ?a ?b) ?c)", "(matmul ?a (matmul ?b ?c))"));
  EXPECT_TRUE(has("(concat[axis=?p1] (relu ?a) (relu ?b))", "(relu (concat[axis=?p1] ?a ?b))") ||
              has("(relu (concat[axis=?p1] ?a ?b))", "(concat[axis=?p1] (relu ?a) (relu ?b))"));
}

}  // namespace tessera::synth
