// SPDX-License-Identifier: Apache-2.0
// tessera rules list: the rewrite rules.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/catalog.h"
#include "cli/command.h"
#include "cli/table.h"

namespace tessera::cli {
namespace {

void list_rules(const ModelOptions& o, Shell& shell) {
  const std::vector<api::RuleEntry> rules = api::rule_list(o.options(shell));
  if (o.json) {
    nlohmann::ordered_json json{{"rules", nlohmann::ordered_json::array()}};
    for (const api::RuleEntry& r : rules)
      json["rules"].push_back({{"name", r.name},
                               {"left", r.left},
                               {"right", r.right},
                               {"conditions", r.conditions},
                               {"domain", r.domain},
                               {"mode", r.mode},
                               {"status", r.status},
                               {"family", r.family}});
    std::cout << json.dump() << '\n';
    return;
  }
  std::vector<Row> rows{{"family", "rule", "mode", "status", "statement"}};
  for (const api::RuleEntry& r : rules) {
    const std::string condition = r.conditions.empty() ? "" : "   if " + r.conditions;
    rows.push_back({r.family, r.name, r.mode, r.status,
                    r.right.empty() ? r.left : r.left + " => " + r.right + condition});
  }
  std::cout << format_table(rows, 5);
}

}  // namespace

void add_rules(CLI::App& app, Shell& shell) {
  auto o = std::make_shared<ModelOptions>();
  CLI::App& rules = *app.add_subcommand("rules", "the rewrite rules");
  rules.require_subcommand(1);
  CLI::App& list = *rules.add_subcommand("list", "list them");
  o->add_output(list);
  list.callback([o, &shell] { list_rules(*o, shell); });
}

}  // namespace tessera::cli
