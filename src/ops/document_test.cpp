// SPDX-License-Identifier: Apache-2.0
// docs/ops.md says what the records say.
#include "ops/document.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace tessera::ops {
namespace {

TEST(Document, is_up_to_date) {
  std::ifstream in("docs/ops.md", std::ios::binary);
  ASSERT_TRUE(in.good()) << "run the tests in the source folder";
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_TRUE(text.str() == operators_document())
      << "write it anew: build/release/tools/gen_ops_doc docs/ops.md";
}

}  // namespace
}  // namespace tessera::ops
