// SPDX-License-Identifier: Apache-2.0
// Lists of built-in models, rules and devices.
#include "api/catalog.h"

#include <fstream>

#include "cost/machine.h"
#include "rules/rule_set.h"
#include "zoo/models.h"

namespace tessera::api {
namespace {

RuleEntry to_entry(const rules::Rule& rule, rules::Status status, const std::string& derivation) {
  RuleEntry entry;
  entry.name = rule.name;
  entry.left = rule.left_text();
  entry.right = rule.right_text();
  entry.conditions = rule.condition_text();
  entry.domain = rule.mode == rules::Mode::exact ? "any" : "reals";
  entry.mode = to_string(rule.mode);
  entry.status = to_string(status);
  entry.family = rule.family;
  entry.derivation = derivation;
  return entry;
}

}  // namespace

std::vector<ZooEntry> zoo_models() {
  std::vector<ZooEntry> entries;
  for (const zoo::Model& model : zoo::models()) {
    ZooEntry entry{model.name, model.doc, {"batch"}};
    if (model.seq) entry.options.push_back(fmt::format("seq {}", model.seq));
    if (model.layers) entry.options.push_back(fmt::format("layers {}", model.layers));
    if (model.image) entry.options.push_back(fmt::format("image {}", model.image));
    entries.push_back(std::move(entry));
  }
  return entries;
}

ir::Graph zoo_model(const std::string& name, const ZooSettings& s) {
  return zoo::build(name, {s.batch, s.seq, s.layers, s.image, s.seed});
}

std::vector<RuleEntry> rule_list(const Options& options) {
  const rules::RuleSet set = rules::load_rules(rules_folder(options), {.untested = true});
  std::vector<RuleEntry> entries;
  const rules::Certificates certificates = rules::read_certificates(rules_folder(options));
  std::map<std::string, std::string> derivations;
  for (const auto& [hash, c] : certificates) derivations[c.name] = c.detail;
  for (const rules::Rule& rule : set.rules()) {
    const std::string written =
        rule.name.ends_with("-reversed") ? rule.name.substr(0, rule.name.size() - 9) : rule.name;
    entries.push_back(to_entry(rule, set.status(rule), derivations[written]));
  }
  for (const rules::Pass& pass : set.passes())
    entries.push_back({pass.name, pass.doc, "", "",
                       pass.mode == rules::Mode::exact ? "any" : "reals",
                       std::string(to_string(pass.mode)), "computed", pass.family, ""});
  return entries;
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "CPU";
}

std::vector<DeviceEntry> devices(const Options& options) {
  const int threads = thread_count(options);
  const cost::Machine& machine = cost::this_machine(threads);
  return {{"cpu", processor_name(), threads, machine.flops_per_second * 1e-9,
           machine.bytes_per_second * 1e-9, machine.launch_seconds * 1e6}};
}

}  // namespace tessera::api
