// SPDX-License-Identifier: Apache-2.0
// Every rule of rules/ is a test of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules/rule_set.h"
#include "rules/sample.h"

namespace tessera::rules {
namespace {

const RuleSet& shipped() {
  static const RuleSet set = load_rules("rules", {.untested = true});
  return set;
}

class EveryRule : public testing::TestWithParam<std::string> {};

TEST_P(EveryRule, computes_the_same_on_both_sides) {
  const Rule& rule = *shipped().find(GetParam());
  const SampleReport report = check_rule(rule, {.instances = 4, .seed = 2});
  EXPECT_TRUE(report.ok) << rule.to_string() << "\n" << report.message;
}

std::vector<std::string> names() {
  std::vector<std::string> result;
  for (const Rule& r : shipped().rules())
    if (!r.name.ends_with("-reversed")) result.push_back(r.name);
  return result;
}

INSTANTIATE_TEST_SUITE_P(rules, EveryRule, testing::ValuesIn(names()), [](const auto& info) {
  std::string name = info.param;
  for (char& c : name)
    if (c == '-') c = '_';
  return name;
});

TEST(RuleSet, those_below_a_status_are_passed_over) {
  RuleSet proved;
  add_rules(proved, "rules", {.least = Status::proved});
  const size_t written = proved.rules().size();
  add_rules(proved, "rules/learned", {.least = Status::proved});
  EXPECT_GT(proved.rules().size(), written);
  EXPECT_LT(written, shipped().rules().size());
  EXPECT_TRUE(proved.left_out().empty());
  for (const Rule& r : proved.rules()) EXPECT_EQ(proved.status(r), Status::proved) << r.name;
}

TEST(RuleSet, all_rules_have_a_valid_certificate) {
  EXPECT_THAT(load_rules("rules").left_out(), testing::IsEmpty())
      << "run build/release/tools/certify_rules";
}

}  // namespace
}  // namespace tessera::rules
