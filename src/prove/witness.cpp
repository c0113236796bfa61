// SPDX-License-Identifier: Apache-2.0
#include "prove/witness.h"

#include <algorithm>

namespace tessera::prove {
namespace {

constexpr int most_tries = 60;

// Bounds that guards state for a variable, then small numbers.
std::vector<Index> candidates(const std::string& v, const std::vector<Guard>& guards) {
  std::vector<Index> all;
  const auto add = [&](const Index& e) {
    if (std::find(all.begin(), all.end(), e) == all.end()) all.push_back(e);
  };
  for (const Guard& g : guards) {
    Index c, rest;
    if (!mentions(g.value, v) || !split_linear(g.value, v, c, rest)) continue;
    if (c == Index(1)) add(-rest);
    if (c == Index(-1)) add(rest);
  }
  for (const int small : {0, 1, 2}) add(Index(small));
  return all;
}

bool search(std::vector<std::string> variables, const std::vector<Guard>& guards,
            const Facts& facts, int& tries) {
  for (const Guard& g : guards) {
    const bool open = std::any_of(variables.begin(), variables.end(),
                                  [&](const std::string& v) { return mentions(g.value, v); });
    if (!open && !facts.implies(g)) return false;
  }
  if (variables.empty()) return true;
  const std::string v = variables.back();
  variables.pop_back();
  for (const Index& value : candidates(v, guards)) {
    if (tries-- <= 0) return false;
    std::vector<Guard> left;
    for (const Guard& g : guards) left.push_back({g.value.substitute({{v, value}}), g.equal});
    if (search(variables, left, facts, tries)) return true;
  }
  return false;
}

}  // namespace

bool has_witness(const std::vector<std::string>& variables, const std::vector<Guard>& guards,
                 const Facts& facts) {
  int tries = most_tries;
  return search(variables, guards, facts, tries);
}

}  // namespace tessera::prove
