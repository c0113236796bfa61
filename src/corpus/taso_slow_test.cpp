// SPDX-License-Identifier: Apache-2.0
// All of TASO's rules: 133 shipped, 619 that its generator makes.
#include <gtest/gtest.h>

#include <filesystem>

#include "corpus/taso_derive.h"

namespace tessera::corpus {
namespace {

struct Expected {
  const char* list;
  int holds, fails;
};

class TasoList : public testing::TestWithParam<Expected> {};

TEST_P(TasoList, is_decided_and_the_true_rules_are_derived) {
  const std::string path = std::string("../shared/taso-rules/") + GetParam().list + ".txt";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "there is no " << path;
  const auto rules = rules::load_rules("rules");
  int holds = 0, fails = 0;
  for (const TasoRule& rule : read_taso_rules(path)) {
    const TasoVerdict v = decide(rule, {.instances = 60});
    ASSERT_NE(v.truth, Truth::undecided) << rule.name;
    if (v.truth == Truth::fails) {
      ++fails;
      EXPECT_FALSE(v.counterexample.empty()) << rule.name;
      continue;
    }
    ++holds;
    EXPECT_TRUE(derive(rule, rules).found) << rule.name << ": " << rule.text;
  }
  EXPECT_EQ(holds, GetParam().holds);
  EXPECT_EQ(fails, GetParam().fails);
}

INSTANTIATE_TEST_SUITE_P(lists, TasoList,
                         testing::Values(Expected{"shipped", 122, 11},
                                         Expected{"generated", 592, 27}),
                         [](const auto& info) { return std::string(info.param.list); });

}  // namespace
}  // namespace tessera::corpus
