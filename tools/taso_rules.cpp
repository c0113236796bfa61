// SPDX-License-Identifier: Apache-2.0
// taso_rules [FOLDER [RULES]]: decides each of TASO's rules in FOLDER (shipped.txt, generated.txt),
// derives each true one from the rules of the folder RULES, and writes docs/taso_rules.md on
// stdout: the counts, and a counterexample for every false rule. True rules that were not derived
// go to stderr. Exits with 1 if there are any, 77 without the lists.
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

// A row of the table of false rules.
std::string false_row(const corpus::TasoRule& rule, const corpus::TasoVerdict& v,
                      const rules::RuleSet& rules, Counts& counts) {
  const std::string condition = v.condition.empty() ? "–" : v.condition;
  ++counts.conditions[condition];
  std::string derived = "–";
  if (!v.condition.empty()) {
    const corpus::TasoDraw draw{.one_group = v.condition == "groups = 1",
                                .equal_parts = v.condition != "groups = 1"};
    derived = corpus::derive(rule, rules, {}, draw).found ? "derived" : "not derived";
  }
  return fmt::format("| {} | {} | {} | {} |\n", rule.name, v.counterexample, condition, derived);
}

std::string look_at(const corpus::TasoRule& rule, const rules::RuleSet& rules, Counts& counts) {
  const corpus::TasoVerdict v = corpus::decide(rule);
  if (v.truth == corpus::Truth::fails) {
    ++counts.fails;
    return false_row(rule, v, rules, counts);
  }
  if (v.truth == corpus::Truth::undecided) {
    ++counts.undecided;
    return fmt::format("| {} | undecided: no instance could be drawn | – | – |\n", rule.name);
  }
  ++counts.holds;
  const corpus::TasoDerivation d = corpus::derive(rule, rules);
  counts.derived += d.found;
  if (!d.found)
    std::fprintf(stderr, "%s: not derived (%d graphs, %s)\n  %s\n", rule.name.c_str(),
                 d.last.graphs, d.instance.c_str(), rule.text.c_str());
  return "";
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string folder = argc > 1 ? argv[1] : "../shared/taso-rules";
  const auto rules = rules::load_rules(argc > 2 ? argv[2] : "rules");
  bool any = false, complete = true;
  std::string counted, table;
  for (const char* list : {"shipped", "generated"}) {
    const std::string path = folder + "/" + list + ".txt";
    if (!std::filesystem::exists(path)) {
      std::fprintf(stderr, "skipped: there is no %s\n", path.c_str());
      continue;
    }
    any = true;
    Counts n;
    for (const corpus::TasoRule& rule : corpus::read_taso_rules(path))
      table += look_at(rule, rules, n);
    counted +=
        fmt::format("| {} | {} | {} | {} | {} |", list, n.holds, n.derived, n.fails, n.undecided);
    for (const auto& [condition, k] : n.conditions)
      counted += fmt::format(" {}: {};", condition, k);
    counted.back() = ' ';
    counted += "|\n";
    complete &= n.derived == n.holds && n.undecided == 0;
  }
  if (!any) return 77;
  std::printf(
      "# TASO's rules\n\nThe 133 rules that open TASO ships and the 619 that its generator makes, "
      "decided on random sizes and\nderived from the rules in force (`docs/design/corpus.md`). "
      "Written by `build/release/tools/taso_rules`. A rule is\nFILE:LINE.\n\n| list | true | "
      "derived | false | undecided | false ones are true if |\n|---|---|---|---|---|---|\n%s\n"
      "## False rules\n\n| rule | counterexample | true if | then |\n|---|---|---|---|\n%s",
      counted.c_str(), table.c_str());
  return complete ? 0 : 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "taso_rules: %s\n", e.what());
  return 2;
}
