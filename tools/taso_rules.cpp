// SPDX-License-Identifier: Apache-2.0
// taso_rules [FOLDER]: decides each of TASO's rules in FOLDER (shipped.txt, generated.txt) and
// prints the verdicts, a counterexample for every false one, and the counts.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>

#include "corpus/taso_verdict.h"

int main(int argc, char** argv) try {
  using namespace tessera;
  const std::string folder = argc > 1 ? argv[1] : "../shared/taso-rules";
  std::map<std::string, std::map<std::string, int>> counts;
  bool any = false;
  for (const char* list : {"shipped", "generated"}) {
    const std::string path = folder + "/" + list + ".txt";
    if (!std::filesystem::exists(path)) {
      std::printf("skipped: there is no %s\n", path.c_str());
      continue;
    }
    any = true;
    for (const corpus::TasoRule& rule : corpus::read_taso_rules(path)) {
      const corpus::TasoVerdict v = corpus::decide(rule);
      ++counts[list][std::string(to_string(v.truth))];
      if (v.truth == corpus::Truth::holds) continue;
      ++counts[list]["false unless " + (v.condition.empty() ? "never" : v.condition)];
      std::printf("%s: %s\n  %s\n  %s\n  holds when %s\n", rule.name.c_str(),
                  std::string(to_string(v.truth)).c_str(), rule.text.c_str(),
                  v.counterexample.c_str(), v.condition.empty() ? "?" : v.condition.c_str());
    }
  }
  for (const auto& [list, truths] : counts)
    for (const auto& [truth, n] : truths)
      std::printf("%s: %s %d\n", list.c_str(), truth.c_str(), n);
  return any ? 0 : 77;
} catch (const std::exception& e) {
  std::fprintf(stderr, "taso_rules: %s\n", e.what());
  return 2;
}
