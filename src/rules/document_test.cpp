// SPDX-License-Identifier: Apache-2.0
// docs/rules.md says what the rules and their certificates say.
#include "rules/document.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace tessera::rules {
namespace {

TEST(RulesDocument, is_up_to_date) {
  std::ifstream in("docs/rules.md", std::ios::binary);
  ASSERT_TRUE(in.good()) << "run the tests in the source folder";
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_TRUE(text.str() == rules_document("rules", "rules/learned"))
      << "write it anew: build/release/tools/gen_rules_doc docs/rules.md";
}

}  // namespace
}  // namespace tessera::rules
