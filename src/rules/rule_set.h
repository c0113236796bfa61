// SPDX-License-Identifier: Apache-2.0
// All rules that are in force: the text files of a folder and the computed passes.
//
// `rules/certificates.txt`, written by `tessera rules prove` and never by hand, says for each rule
// (by a hash of its text) how it was checked. A rule without a valid certificate does not load by
// default.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "rules/passes.h"
#include "rules/rule.h"

namespace tessera::rules {

/// Untested · tested on random instances · proved for all sizes with some attributes or sizes fixed
/// · proved for all sizes.
enum class Status : uint8_t { untested, tested, bounded, proved };
std::string_view to_string(Status status);

/// One line of the certificate file: "HASH STATUS DETAIL NAME".
struct Certificate {
  Status status = Status::untested;
  std::string detail;  ///< how the status was found
  std::string name;    ///< of the rule, for people
};
/// By hash. Lines of an unknown form are no certificates.
using Certificates = std::map<std::string, Certificate>;

struct LoadOptions {
  bool untested = false;            ///< also rules without a valid certificate
  Status least = Status::untested;  ///< only rules of at least this status; others are passed over
};

class RuleSet {
 public:
  /// One direction each; the second direction of a `<=>` rule follows the first and is called
  /// NAME-reversed.
  const std::vector<Rule>& rules() const { return rules_; }
  const std::vector<Pass>& passes() const { return rules::passes(); }
  Status status(const Rule& rule) const;
  /// Rules without a valid certificate, which were left out.
  const std::vector<std::string>& left_out() const { return left_out_; }
  /// Indices of the rules whose (first) left side has the given operator at its root.
  const std::vector<int>& by_root(const ops::OpDef& def) const;
  const Rule* find(const std::string& name) const;

  void add(Rule rule, Status status = Status::untested);
  void leave_out(std::string name) { left_out_.push_back(std::move(name)); }

 private:
  std::vector<Rule> rules_;
  std::vector<Status> status_;
  std::vector<std::string> left_out_;
  std::unordered_map<const ops::OpDef*, std::vector<int>> by_root_;
};

/// The identity of a rule: changes whenever its text, or the way rules are checked, changes.
Hash128 certificate_hash(const Rule& rule);

/// Reads every `*.rules` file of a folder, in order of their names. Throws UserError naming file,
/// line and column.
RuleSet load_rules(const std::string& folder, const LoadOptions& options = {});
/// Adds the rules of a folder to a set.
void add_rules(RuleSet& set, const std::string& folder, const LoadOptions& options = {});
/// The same for text in memory; nothing is left out.
RuleSet parse_rules(std::string_view text, const std::string& family);

Certificates read_certificates(const std::string& folder);
/// Replaces the certificate file by the certificates of the folder's rules, in the rules' order.
void write_certificates(const std::string& folder, const Certificates& certificates);
/// Every rule of the folder as it is written (one direction of `<=>`).
std::vector<Rule> read_rules(const std::string& folder);
/// Checks every rule of the folder that has no certificate on sample instances and rewrites its
/// certificate file. Returns one message for each rule that fails.
std::vector<std::string> certify(const std::string& folder);

}  // namespace tessera::rules
