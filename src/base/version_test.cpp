// SPDX-License-Identifier: Apache-2.0
// Tests of base/version.h.
#include "base/version.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tessera {
namespace {

TEST(Version, has_three_numbers) {
  const std::string_view v = version();
  EXPECT_EQ(std::count(v.begin(), v.end(), '.'), 2);
}

}  // namespace
}  // namespace tessera
