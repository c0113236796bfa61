// SPDX-License-Identifier: Apache-2.0
// Archives, opened by tar.
#include "base/archive.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tessera {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

class Archive : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("tessera_archive_{}", getpid());
    fs::create_directories(folder_ / "out");
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  fs::path folder_;
};

TEST_F(Archive, gives_back_texts_and_files) {
  const std::string large(100'000, '\xfe'), exact(512, 'x');
  std::ofstream(path("large")) << large;
  const ArchiveEntry entries[] = {{.name = "report.txt", .text = "what happened\n"},
                                  {.name = "model.onnx", .file = path("large")},
                                  {.name = "empty"},
                                  {.name = "exact", .text = exact}};
  ASSERT_TRUE(write_archive(path("a.tar"), entries));
  const std::string command = fmt::format("tar xf '{}' -C '{}'", path("a.tar"), path("out"));
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(content(folder_ / "out/report.txt"), "what happened\n");
  EXPECT_EQ(content(folder_ / "out/model.onnx"), large);
  EXPECT_EQ(content(folder_ / "out/empty"), "");
  EXPECT_EQ(content(folder_ / "out/exact"), exact);
}

TEST_F(Archive, leaves_nothing_when_a_file_is_missing) {
  const ArchiveEntry entries[] = {{.name = "a", .file = path("nowhere")}};
  EXPECT_FALSE(write_archive(path("a.tar"), entries));
  EXPECT_FALSE(fs::exists(path("a.tar")));
}

}  // namespace
}  // namespace tessera
