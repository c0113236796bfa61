// SPDX-License-Identifier: Apache-2.0
// The rewrites of other compilers follow from the rules in force.
#include "corpus/inventory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/check.h"

namespace tessera::corpus {
namespace {

InventoryRow row(const std::string& left, const std::string& right) {
  const std::string inputs = "input x: f32[3, 4]\ninput z: f32[3, 4]\n";
  return {"test", "row", inputs + "output y = " + left, inputs + "output y = " + right, "", "test"};
}

TEST(Inventory, most_rows_are_derived_and_the_page_says_how) {
  const auto rows = read_inventory("tests/inventory");
  const auto rules = rules::load_rules("rules");
  std::vector<Derived> derived;
  size_t found = 0;
  for (const InventoryRow& r : rows) {
    derived.push_back(r.missing.empty() ? derive(r, rules) : Derived{});
    found += derived.back().found;
    EXPECT_TRUE(derived.back().found || !r.missing.empty())
        << r.place << ": " << r.source << " " << r.name << " is not derived";
  }
  EXPECT_GE(rows.size(), 300u);
  EXPECT_GE(static_cast<double>(found), 0.85 * static_cast<double>(rows.size()));
  std::ifstream file("docs/rule_inventory.md");
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_EQ(page.str(), inventory_page(rows, derived))
      << "run build/release/tools/rule_inventory > docs/rule_inventory.md";
}

TEST(Inventory, does_not_derive_what_is_false) {
  const auto rules = rules::load_rules("rules");
  EXPECT_FALSE(derive(row("x - z", "z - x"), rules, {.max_graphs = 300}).found);
  EXPECT_FALSE(derive(row("relu(x + z)", "relu(x) + relu(z)"), rules, {.max_graphs = 300}).found);
  EXPECT_FALSE(
      derive(row("softmax(x, axis=0)", "softmax(x, axis=1)"), rules, {.max_graphs = 300}).found);
}

TEST(Inventory, meets_from_both_sides) {
  const auto rules = rules::parse_rules(
      "left : (exp (neg ?x)) => (reciprocal (exp ?x)) mode real\n"
      "right : (div 1 (exp ?x)) => (reciprocal (exp ?x)) mode real\n",
      "test");
  const Derived d = derive(row("exp(-x)", "1 / exp(x)"), rules);
  EXPECT_TRUE(d.found);
  EXPECT_THAT(d.left, testing::ElementsAre("left"));
  EXPECT_THAT(d.right, testing::ElementsAre("right"));
}

TEST(Inventory, refuses_rows_whose_types_differ) {
  const auto rules = rules::parse_rules("", "test");
  EXPECT_THROW(derive(row("x", "reduce_sum(x, axes=[1])"), rules), UserError);
}

}  // namespace
}  // namespace tessera::corpus
