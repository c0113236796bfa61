// SPDX-License-Identifier: Apache-2.0
// Rule files and their certificates.
#include "rules/rule_set.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/check.h"
#include "rules/sample.h"
#include "rules/term_functions.h"

namespace tessera::rules {
namespace {

namespace fs = std::filesystem;

constexpr const char* certificate_file = "certificates.txt";
constexpr int check_version = 1;  // counts changes of how rules are checked

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  TESSERA_USER_CHECK(in.good(), "cannot read '{}'", path.string());
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void check_functions(const Term& t, const Rule& rule) {
  TESSERA_USER_CHECK(t.kind != Term::Kind::call || is_function(t.name),
                     "{}.rules:{}: unknown function '{}'", rule.family, rule.line, t.name);
  for (const Term& a : t.args) check_functions(a, rule);
}

void check_functions(const Pattern& p, const Rule& rule) {
  if (p.kind == Pattern::Kind::scalar) check_functions(p.term, rule);
  for (const AttrPattern& a : p.attrs) check_functions(a.term, rule);
  for (const Pattern& a : p.args) check_functions(a, rule);
}

std::vector<Rule> parse_text(std::string_view text, const std::string& family) {
  std::vector<Rule> rules;
  int line = 0;
  std::string joined;
  int first = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view row = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line;
    const bool continued = row.starts_with(' ') || row.starts_with('\t');
    row = row.substr(0, row.find('#'));
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (!continued && !joined.empty()) {
      rules.push_back(parse_rule(joined, family, first));
      joined.clear();
    }
    if (joined.empty()) first = line;
    joined += (joined.empty() ? "" : " ") + std::string(row);
  }
  if (!joined.empty()) rules.push_back(parse_rule(joined, family, first));
  for (const Rule& r : rules) {
    for (const Term& c : r.conditions) check_functions(c, r);
    for (const Pattern& p : r.lhs) check_functions(p, r);
    for (const Pattern& p : r.rhs) check_functions(p, r);
  }
  return rules;
}

std::vector<fs::path> rule_files(const std::string& folder) {
  TESSERA_USER_CHECK(fs::is_directory(folder), "'{}' is no folder of rules", folder);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".rules") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::string_view to_string(Status status) {
  return status == Status::tested ? "tested" : "untested";
}

Hash128 certificate_hash(const Rule& rule) {
  Hasher hasher;
  hasher.add(int64_t{check_version}).add(rule.to_string());
  return hasher.finish();
}

void RuleSet::add(Rule rule, Status status) {
  TESSERA_USER_CHECK(find(rule.name) == nullptr && rules::find_pass(rule.name) == nullptr,
                     "{}.rules:{}: there is another rule '{}'", rule.family, rule.line, rule.name);
  const bool both = rule.both_ways && !rule.name.ends_with("-reversed");
  by_root_[rule.lhs[0].def].push_back(static_cast<int>(rules_.size()));
  rules_.push_back(rule);
  status_.push_back(status);
  if (both) add(rule.reversed(), status);
}

Status RuleSet::status(const Rule& rule) const {
  for (size_t k = 0; k < rules_.size(); ++k)
    if (rules_[k].name == rule.name) return status_[k];
  return Status::untested;
}

const std::vector<int>& RuleSet::by_root(const ops::OpDef& def) const {
  static const std::vector<int> none;
  const auto it = by_root_.find(&def);
  return it == by_root_.end() ? none : it->second;
}

const Rule* RuleSet::find(const std::string& name) const {
  for (const Rule& r : rules_)
    if (r.name == name) return &r;
  return nullptr;
}

RuleSet parse_rules(std::string_view text, const std::string& family) {
  RuleSet set;
  for (Rule& r : parse_text(text, family)) set.add(std::move(r));
  return set;
}

std::map<std::string, std::string> read_certificates(const std::string& folder) {
  std::map<std::string, std::string> result;
  const fs::path path = fs::path(folder) / certificate_file;
  if (!fs::exists(path)) return result;
  std::istringstream in(read_file(path));
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    std::string hash, rest;
    fields >> hash;
    std::getline(fields >> std::ws, rest);
    result[hash] = rest;
  }
  return result;
}

RuleSet load_rules(const std::string& folder, const LoadOptions& options) {
  const auto certificates = read_certificates(folder);
  RuleSet set;
  for (const fs::path& path : rule_files(folder))
    for (Rule& r : parse_text(read_file(path), path.stem().string())) {
      const bool tested = certificates.contains(certificate_hash(r).to_string());
      if (tested || options.untested)
        set.add(std::move(r), tested ? Status::tested : Status::untested);
      else set.leave_out(r.name);
    }
  return set;
}

std::vector<std::string> certify(const std::string& folder) {
  std::vector<std::string> failures;
  std::string text =
      "# Written by certify_rules; do not edit. Hash of the rule's text, status, sample instances, "
      "name.\n";
  const auto known = read_certificates(folder);
  for (const fs::path& path : rule_files(folder))
    for (const Rule& r : parse_text(read_file(path), path.stem().string())) {
      const std::string hash = certificate_hash(r).to_string();
      const auto it = known.find(hash);
      if (it != known.end()) {
        text += hash + " " + it->second + "\n";
        continue;
      }
      const SampleReport report = check_rule(r, {});
      if (!report.ok) failures.push_back(r.name + ": " + report.message);
      else text += fmt::format("{} tested {} {}\n", hash, report.instances, r.name);
    }
  const fs::path path = fs::path(folder) / certificate_file, part = path.string() + ".part";
  {
    std::ofstream out(part, std::ios::binary);
    out << text;
    TESSERA_USER_CHECK(out.good(), "cannot write '{}'", part.string());
  }
  fs::rename(part, path);
  return failures;
}

}  // namespace tessera::rules
