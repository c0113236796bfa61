// SPDX-License-Identifier: Apache-2.0
// rule_soundness [INSTANCES [FOLDER [RULE…]]]: instantiates every rule (or those named) on random
// instances that satisfy its conditions and on as many that violate one condition each. Prints what
// is false, which conditions are too strong, and the counts; exits with 1 if a rule is false.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <set>

#include "corpus/soundness.h"

int main(int argc, char** argv) try {
  using namespace tessera;
  using corpus::ConditionReport;
  corpus::SoundnessOptions options;
  if (argc > 1) options.instances = std::max(1, std::atoi(argv[1]));
  const std::set<std::string> names(argv + std::min(argc, 3), argv + argc);
  const auto rules = rules::load_rules(argc > 2 ? argv[2] : "rules", {.untested = true});
  std::map<std::pair<std::string, std::string>, ConditionReport> conditions;
  int count = 0, wrong = 0, few = 0;
  int64_t instances = 0;
  for (const rules::Rule& rule : rules.rules()) {
    std::string name = rule.name;
    if (name.ends_with("-reversed")) name.resize(name.size() - 9);
    if (!names.empty() && !names.contains(name)) continue;
    const corpus::SoundnessReport r = corpus::check_soundness(rule, options);
    ++count;
    instances += r.instances;
    if (!r.failure.empty()) {
      ++wrong;
      std::printf("FALSE %s: %s\n", rule.name.c_str(), r.failure.c_str());
    }
    if (r.instances < options.instances) {
      ++few;
      std::printf("few instances: %s: %d\n", rule.name.c_str(), r.instances);
    }
    for (const ConditionReport& c : r.conditions) {
      const auto [it, added] = conditions.try_emplace({name, c.text}, c);
      // A condition of both directions is needed if one of them needs it.
      if (!added && c.kind < it->second.kind) it->second = c;
    }
  }
  std::map<ConditionReport::Kind, int> kinds;
  for (const auto& [place, c] : conditions) {
    ++kinds[c.kind];
    if (c.kind == ConditionReport::Kind::too_strong || c.kind == ConditionReport::Kind::unexercised)
      std::printf("%s: %s: %s (violated alone %d times)\n", std::string(to_string(c.kind)).c_str(),
                  place.first.c_str(), c.text.c_str(), c.violated);
  }
  int owed = 0, needed = 0;
  for (const auto& [kind, n] : kinds) {
    std::printf("conditions %s: %d\n", std::string(to_string(kind)).c_str(), n);
    if (kind != ConditionReport::Kind::policy) owed += n;
    if (kind == ConditionReport::Kind::needed || kind == ConditionReport::Kind::defines)
      needed += n;
  }
  std::printf("%d rules, %lld instances, %d false, %d with fewer instances than wanted\n", count,
              static_cast<long long>(instances), wrong, few);
  std::printf("%d of %d conditions of truth have a counterexample (%.1f %%)\n", needed, owed,
              owed ? 100.0 * needed / owed : 100.0);
  return wrong ? 1 : 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "rule_soundness: %s\n", e.what());
  return 2;
}
