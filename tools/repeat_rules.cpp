// SPDX-License-Identifier: Apache-2.0
// repeat_rules FOLDER OPERATORS PROCESSES[,PROCESSES…] VOCABULARY…: what `tessera rules synthesize`
// does, once for each number of processes (and as many shards), each time from nothing into
// FOLDER/1, FOLDER/2 …; exits with 1 if the files of two runs differ in a byte. OPERATORS 0: as the
// vocabularies say. A `+` before PROCESSES goes on with the work that is in FOLDER.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <sstream>

#include "api/synthesize.h"
#include "base/atomic_file.h"
#include "base/check.h"

namespace {

using namespace tessera;
namespace fs = std::filesystem;

std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder))
    files[entry.path().filename().string()] = read_file(entry.path().string());
  return files;
}

void synthesize_into(const fs::path& folder, int processes, bool go_on,
                     const api::SynthesisOptions& like) {
  if (!go_on) fs::remove_all(folder);
  api::SynthesisOptions o = like;
  o.threads = o.shards = processes;
  o.work_folder = (folder / "work").string();
  o.output = (folder / "rules").string();
  o.say = [](const std::string& line) {
    std::puts(line.c_str());
    std::fflush(stdout);
  };
  o.progress = [](const std::string&) {};
  std::printf("%d processes\n", processes);
  api::synthesize_rules(o);
}

}  // namespace

int main(int argc, char** argv) try {
  TESSERA_USER_CHECK(argc > 4, "repeat_rules FOLDER OPERATORS PROCESSES[,PROCESSES…] VOCABULARY…");
  const fs::path folder = argv[1];
  api::SynthesisOptions options;
  options.operators = std::stoi(argv[2]);
  options.vocabularies.assign(argv + 4, argv + argc);
  const bool go_on = argv[3][0] == '+';
  std::istringstream numbers(argv[3] + (go_on ? 1 : 0));
  std::map<std::string, std::string> first;
  int runs = 0, different = 0;
  for (std::string number; std::getline(numbers, number, ',');) {
    const fs::path own = folder / std::to_string(++runs);
    synthesize_into(own, std::stoi(number), go_on, options);
    const auto files = contents(own / "rules");
    if (runs == 1) first = files;
    for (const auto& [name, text] : files) {
      const bool same = files.size() == first.size() && first.contains(name) && first[name] == text;
      different += !same;
      std::printf("run %d: %s, %zu bytes%s\n", runs, name.c_str(), text.size(),
                  runs == 1 ? ""
                  : same    ? ", as in run 1"
                            : ": NOT as in run 1");
    }
  }
  return different ? 1 : 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "repeat_rules: %s\n", e.what());
  return 2;
}
