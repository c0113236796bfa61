// SPDX-License-Identifier: Apache-2.0
// The documentation names files that exist.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

namespace tessera {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> documents() {
  std::vector<fs::path> found{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"};
  for (const auto& entry : fs::recursive_directory_iterator("docs"))
    if (entry.path().extension() == ".md") found.push_back(entry.path());
  return found;
}

std::string read(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Docs, links_name_files_that_exist) {
  const std::regex link(R"(\]\(([^)#]+)(#[^)]*)?\))");
  int checked = 0;
  for (const fs::path& document : documents()) {
    ASSERT_TRUE(fs::exists(document)) << document << " (tests run in the source folder)";
    const std::string text = read(document);
    for (std::sregex_iterator at(text.begin(), text.end(), link), end; at != end; ++at) {
      const std::string target = (*at)[1];
      if (target.find("://") != std::string::npos) continue;
      EXPECT_TRUE(fs::exists(document.parent_path() / target)) << document << " links " << target;
      ++checked;
    }
  }
  EXPECT_GT(checked, 30);
}

TEST(Docs, the_tour_passes_through_every_module) {
  const std::string tour = read("docs/tour.md");
  for (const auto& entry : fs::directory_iterator("src")) {
    const std::string module = entry.path().filename();
    EXPECT_NE(tour.find("/src/" + module + "/"), std::string::npos) << module;
  }
}

}  // namespace
}  // namespace tessera
