// SPDX-License-Identifier: Apache-2.0
// mutate_proofs [FOLDER [INSTANCES [RULE…]]]: the mutation test of the prover over the rules of a
// folder.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <set>
#include <string>

#include "prove/mutation.h"
#include "rules/rule_set.h"

int main(int argc, char** argv) try {
  using namespace tessera;
  const int instances = argc > 2 ? std::atoi(argv[2]) : 2;
  const std::set<std::string> names(argv + std::min(argc, 3), argv + argc);
  prove::MutationReport total;
  for (const rules::Rule& rule : rules::read_rules(argc > 1 ? argv[1] : "rules")) {
    if (!names.empty() && !names.contains(rule.name)) continue;
    const prove::MutationReport r = prove::mutate(rule, instances);
    total.mutants += r.mutants;
    total.detected += r.detected;
    total.equivalent += r.equivalent;
    std::printf("%-30s %4d mutants, %4d detected, %3d equivalent, %zu missed\n", rule.name.c_str(),
                r.mutants, r.detected, r.equivalent, r.missed.size());
    for (const std::string& m : r.missed) std::printf("  missed: %s\n", m.c_str());
    std::fflush(stdout);
    total.missed.insert(total.missed.end(), r.missed.begin(), r.missed.end());
  }
  const int real = total.mutants - total.equivalent;
  std::printf("%d mutants: %d detected, %d equivalent, %zu missed; %.2f%% of those that differ\n",
              total.mutants, total.detected, total.equivalent, total.missed.size(),
              real ? 100.0 * total.detected / real : 100.0);
  return total.missed.empty() ? 0 : 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "mutate_proofs: %s\n", e.what());
  return 2;
}
