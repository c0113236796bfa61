// SPDX-License-Identifier: Apache-2.0
// What is read again, and what is not.
#include "base/journal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/atomic_file.h"

namespace tessera {
namespace {

TEST(Journal, keeps_whole_texts_of_one_head) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("tessera-journal-" + std::to_string(getpid()));
  const std::string path = (folder / "notes").string();
  {
    Journal journal(path, "one");
    EXPECT_EQ(journal.texts(), "");
    journal.add("first\n");
    journal.add("");
    journal.add("second\n");
  }
  EXPECT_EQ(Journal(path, "one").texts(), "first\nsecond\n");
  // Cut off in the middle of the second: it goes, and what comes next is read again.
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 3);
  {
    Journal journal(path, "one");
    EXPECT_EQ(journal.texts(), "first\n");
    journal.add("third\n");
  }
  EXPECT_EQ(Journal(path, "one").texts(), "first\nthird\n");
  // So does what is no length.
  std::ofstream(path, std::ios::app) << "damaged\n18446744073709551615\n";
  EXPECT_EQ(Journal(path, "one").texts(), "first\nthird\n");
  EXPECT_EQ(Journal(path, "two").texts(), "");
  EXPECT_EQ(Journal(path, "one").texts(), "") << "the other one began it anew";
  std::filesystem::remove_all(folder);
}

TEST(Journal, a_program_has_one_hash) {
  EXPECT_EQ(program_hash(), program_hash());
  EXPECT_EQ(program_hash().size(), 32u);
}

}  // namespace
}  // namespace tessera
