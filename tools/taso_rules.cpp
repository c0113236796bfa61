// SPDX-License-Identifier: Apache-2.0
// taso_rules [FOLDER [RULES]]: decides each of TASO's rules in FOLDER (shipped.txt, generated.txt),
// derives each true one from the rules of the folder RULES, and prints a counterexample for every
// false one, the true ones that were not derived, and the counts. Exits with 1 if there are any.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>

#include "corpus/taso_derive.h"

namespace {

using namespace tessera;

struct Counts {
  int holds = 0, fails = 0, undecided = 0, derived = 0;
  std::map<std::string, int> conditions;  ///< of false rules
};

void look_at(const corpus::TasoRule& rule, const rules::RuleSet& rules, Counts& counts,
             std::map<std::string, int>& used) {
  const corpus::TasoVerdict v = corpus::decide(rule);
  if (v.truth == corpus::Truth::holds) {
    ++counts.holds;
    const corpus::TasoDerivation d = corpus::derive(rule, rules);
    counts.derived += d.found;
    for (const auto* path : {&d.last.left, &d.last.right})
      for (const std::string& name : *path) ++used[name];
    if (!d.found)
      std::printf("%s: not derived (%d graphs, %s)\n  %s\n", rule.name.c_str(), d.last.graphs,
                  d.instance.c_str(), rule.text.c_str());
    return;
  }
  v.truth == corpus::Truth::fails ? ++counts.fails : ++counts.undecided;
  const std::string condition = v.condition.empty() ? "nothing tried" : v.condition;
  if (v.truth == corpus::Truth::fails) ++counts.conditions[condition];
  std::printf("%s: %s\n  %s\n  %s\n  true if: %s\n", rule.name.c_str(),
              std::string(to_string(v.truth)).c_str(), rule.text.c_str(), v.counterexample.c_str(),
              condition.c_str());
  if (v.condition.empty()) return;
  const corpus::TasoDraw draw{.one_group = v.condition == "groups = 1",
                              .equal_parts = v.condition != "groups = 1"};
  const corpus::TasoDerivation d = corpus::derive(rule, rules, {}, draw);
  std::printf("  under that condition: %s\n", d.found ? "derived" : "not derived");
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string folder = argc > 1 ? argv[1] : "../shared/taso-rules";
  const auto rules = rules::load_rules(argc > 2 ? argv[2] : "rules");
  std::map<std::string, int> used;
  bool any = false, complete = true;
  for (const char* list : {"shipped", "generated"}) {
    const std::string path = folder + "/" + list + ".txt";
    if (!std::filesystem::exists(path)) {
      std::printf("skipped: there is no %s\n", path.c_str());
      continue;
    }
    any = true;
    Counts n;
    for (const corpus::TasoRule& rule : corpus::read_taso_rules(path))
      look_at(rule, rules, n, used);
    std::printf("%s: %d true, %d false, %d undecided; %d of the true ones derived\n", list, n.holds,
                n.fails, n.undecided, n.derived);
    for (const auto& [condition, k] : n.conditions)
      std::printf("%s: %d of the false ones true if: %s\n", list, k, condition.c_str());
    complete &= n.derived == n.holds && n.undecided == 0;
  }
  for (const auto& [name, k] : used) std::printf("  used %4d times: %s\n", k, name.c_str());
  return !any ? 77 : complete ? 0 : 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "taso_rules: %s\n", e.what());
  return 2;
}
