// SPDX-License-Identifier: Apache-2.0
// tessera rules list | show | synthesize | prove: the rewrite rules, and how they are found.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/catalog.h"
#include "api/synthesize.h"
#include "base/check.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/table.h"

namespace tessera::cli {
namespace {

nlohmann::ordered_json to_json(const api::RuleEntry& r) {
  return {{"name", r.name},
          {"left", r.left},
          {"right", r.right},
          {"conditions", r.conditions},
          {"domain", r.domain},
          {"mode", r.mode},
          {"status", r.status},
          {"family", r.family},
          {"derivation", r.derivation}};
}

void list_rules(const ModelOptions& o, const std::string& folder, Shell& shell) {
  api::Options options = o.options(shell);
  options.rules_folder = folder;
  const std::vector<api::RuleEntry> rules = api::rule_list(options);
  if (o.json) {
    nlohmann::ordered_json json{{"rules", nlohmann::ordered_json::array()}};
    for (const api::RuleEntry& r : rules) json["rules"].push_back(to_json(r));
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

void show_rule(const std::string& name, const ModelOptions& o, Shell& shell) {
  for (const api::RuleEntry& r : api::rule_list(o.options(shell))) {
    if (r.name != name) continue;
    if (o.json) {
      std::cout << to_json(r).dump() << '\n';
      return;
    }
    std::cout << r.family << " / " << r.name << "\n  " << r.left;
    if (!r.right.empty()) std::cout << "\n  => " << r.right;
    if (!r.conditions.empty()) std::cout << "\n  if " << r.conditions;
    std::cout << "\n  mode " << r.mode << ", domain " << r.domain << "\n  " << r.status;
    if (!r.derivation.empty())
      std::cout << ": " << r.derivation << (r.status == "tested" ? " random instances" : "");
    std::cout << '\n';
    return;
  }
  fail_user(ErrorKind::invalid_input, "there is no rule '{}'", name);
}

void list_vocabularies() {
  std::vector<Row> rows{{"vocabulary", "tensors", "records", "operators", "what"}};
  for (const api::VocabularyEntry& v : api::vocabulary_list())
    rows.push_back({v.name, std::to_string(v.inputs), std::to_string(v.records),
                    std::to_string(v.operators), v.doc});
  std::cout << format_table(rows, 5);
}

void add_synthesize(CLI::App& rules) {
  auto o = std::make_shared<api::SynthesisOptions>();
  auto quiet = std::make_shared<bool>(false);
  CLI::App& app = *rules.add_subcommand(
      "synthesize", "enumerate graphs over operator records and learn rules from equal ones");
  app.add_option("VOCABULARY", o->vocabularies,
                 "what to enumerate over; corpus: all that rules/learned is written from "
                 "(none: list them)");
  app.add_option("--operators", o->operators,
                 "the most operators of a graph (default: as the vocabulary says)")
      ->check(CLI::Range(1, 5));
  app.add_flag("--all", o->all, "extend also graphs that compute what a smaller one does");
  app.add_flag("--count-only", o->count_only, "enumerate and compare, learn nothing");
  app.add_flag("--test-all", o->test_all, "test every equation before derivability is decided");
  app.add_flag("--keep-unproved", o->keep_unproved,
               "also rules that stand all instances but are not proved for all shapes");
  app.add_option("--shards", o->shards, "parts of the last level")->capture_default_str();
  app.add_option("--shard", o->only_shard, "compute this part only (from 0)");
  app.add_option("--threads", o->threads, "threads, and processes that prove rules")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--strange", o->strange_instances,
                 "instances beyond the sample clauses that each rule must stand")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  app.add_option("--seed", o->seed, "of the random tensors")->capture_default_str();
  app.add_option("--work", o->work_folder, "folder for shards; what is there is not computed again")
      ->required();
  app.add_option("-o,--output", o->output, "folder for VOCABULARY.rules and certificates");
  app.add_flag("--quiet", *quiet, "no progress");
  app.callback([o, quiet] {
    if (o->vocabularies.empty()) return list_vocabularies();
    o->say = [](const std::string& line) {
      end_progress();
      std::cout << line << std::endl;
    };
    o->progress = [quiet](const std::string& what) {
      if (!*quiet) show_progress(what);
    };
    api::synthesize_rules(*o);
    end_progress();
  });
}

}  // namespace

void add_rules(CLI::App& app, Shell& shell) {
  auto o = std::make_shared<ModelOptions>();
  CLI::App& rules = *app.add_subcommand("rules", "the rewrite rules");
  rules.require_subcommand(1);
  CLI::App& list = *rules.add_subcommand("list", "list them");
  o->add_output(list);
  auto folder = std::make_shared<std::string>();
  list.add_option("--folder", *folder, "folder of the rules (default: those of Tessera)");
  list.callback([o, folder, &shell] { list_rules(*o, *folder, shell); });
  auto name = std::make_shared<std::string>();
  CLI::App& show = *rules.add_subcommand("show", "one of them, and how its status was found");
  show.add_option("name", *name, "the rule")->required();
  o->add_output(show);
  show.callback([o, name, &shell] { show_rule(*name, *o, shell); });
  add_prove(rules, shell);
  add_synthesize(rules);
}

}  // namespace tessera::cli
