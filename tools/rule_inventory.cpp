// SPDX-License-Identifier: Apache-2.0
// rule_inventory [FOLDER [RULES]]: derives every row of the inventory and writes the page on
// stdout; what was not derived goes to stderr.
#include <cstdio>
#include <exception>

#include "corpus/inventory.h"

int main(int argc, char** argv) try {
  using namespace tessera;
  const auto rows = corpus::read_inventory(argc > 1 ? argv[1] : "tests/inventory");
  const auto rules = rules::load_rules(argc > 2 ? argv[2] : "rules");
  std::vector<corpus::Derived> derived;
  for (const corpus::InventoryRow& row : rows) {
    try {
      derived.push_back(row.missing.empty() ? corpus::derive(row, rules) : corpus::Derived{});
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s %s: %s\n", row.place.c_str(), row.name.c_str(), e.what());
      derived.emplace_back();
      continue;
    }
    if (row.missing.empty() && !derived.back().found)
      std::fprintf(stderr, "%s %s: not derived, %d graphs\n", row.place.c_str(), row.name.c_str(),
                   derived.back().graphs);
  }
  std::fputs(corpus::inventory_page(rows, derived).c_str(), stdout);
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "rule_inventory: %s\n", e.what());
  return 2;
}
