// SPDX-License-Identifier: Apache-2.0
// The id against the bytes of the file that runs.
#include "base/build_id.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

namespace tessera {
namespace {

TEST(BuildId, is_the_note_that_the_linker_wrote) {
  // `file` and `readelf` may be missing; the note's bytes are in the file itself.
  const std::string& id = build_id();
  ASSERT_EQ(id.size(), 40U) << "the linker writes a SHA-1";
  std::string bytes;
  for (size_t k = 0; k < id.size(); k += 2)
    bytes += static_cast<char>(std::stoi(id.substr(k, 2), nullptr, 16));
  FILE* file = std::fopen("/proc/self/exe", "rb");
  ASSERT_TRUE(file);
  std::string start(1 << 16, '\0');
  start.resize(std::fread(start.data(), 1, start.size(), file));
  std::fclose(file);
  const size_t at = start.find(bytes);
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(start.substr(at - 4, 4), std::string("GNU\0", 4));
}

}  // namespace
}  // namespace tessera
