// SPDX-License-Identifier: Apache-2.0
// Rule files and their certificates.
#include "rules/rule_set.h"

#include <algorithm>
#include <array>
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
  static constexpr std::array<std::string_view, 4> names = {"untested", "tested", "bounded",
                                                            "proved"};
  return names[static_cast<size_t>(status)];
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

Certificates read_certificates(const std::string& folder) {
  Certificates result;
  const fs::path path = fs::path(folder) / certificate_file;
  if (!fs::exists(path)) return result;
  std::istringstream in(read_file(path));
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(' '), second = line.find(' ', first + 1);
    const size_t last = line.rfind(' ');
    if (line.starts_with('#') || second == std::string::npos || last <= second) continue;
    Certificate c;
    const std::string status = line.substr(first + 1, second - first - 1);
    for (const Status s : {Status::tested, Status::bounded, Status::proved})
      if (status == to_string(s)) c.status = s;
    if (c.status == Status::untested) continue;
    c.detail = line.substr(second + 1, last - second - 1);
    c.name = line.substr(last + 1);
    result[line.substr(0, first)] = std::move(c);
  }
  return result;
}

void write_certificates(const std::string& folder, const Certificates& certificates) {
  std::string text =
      "# Written by `tessera rules prove`; do not edit. Hash of the rule's text, status, how it "
      "was found, name.\n";
  for (const Rule& r : read_rules(folder)) {
    const std::string hash = certificate_hash(r).to_string();
    const auto at = certificates.find(hash);
    if (at == certificates.end()) continue;
    text +=
        fmt::format("{} {} {} {}\n", hash, to_string(at->second.status), at->second.detail, r.name);
  }
  const fs::path path = fs::path(folder) / certificate_file, part = path.string() + ".part";
  {
    std::ofstream out(part, std::ios::binary);
    out << text;
    TESSERA_USER_CHECK(out.good(), "cannot write '{}'", part.string());
  }
  fs::rename(part, path);
}

std::vector<Rule> read_rules(const std::string& folder) {
  std::vector<Rule> rules;
  for (const fs::path& path : rule_files(folder))
    for (Rule& r : parse_text(read_file(path), path.stem().string())) rules.push_back(std::move(r));
  return rules;
}

void add_rules(RuleSet& set, const std::string& folder, const LoadOptions& options) {
  const Certificates certificates = read_certificates(folder);
  for (Rule& r : read_rules(folder)) {
    const auto at = certificates.find(certificate_hash(r).to_string());
    const Status status = at == certificates.end() ? Status::untested : at->second.status;
    if (status == Status::untested && !options.untested) set.leave_out(r.name);
    else if (status >= options.least) set.add(std::move(r), status);
  }
}

RuleSet load_rules(const std::string& folder, const LoadOptions& options) {
  RuleSet set;
  add_rules(set, folder, options);
  return set;
}

std::vector<std::string> certify(const std::string& folder) {
  std::vector<std::string> failures;
  Certificates certificates = read_certificates(folder);
  for (const Rule& r : read_rules(folder)) {
    const std::string hash = certificate_hash(r).to_string();
    if (certificates.contains(hash)) continue;
    const SampleReport report = check_rule(r, {});
    if (!report.ok) failures.push_back(r.name + ": " + report.message);
    else certificates[hash] = {Status::tested, std::to_string(report.instances), r.name};
  }
  write_certificates(folder, certificates);
  return failures;
}

}  // namespace tessera::rules
