// SPDX-License-Identifier: Apache-2.0
// Proofs of the rules in the rules folder, and their certificates.
#include <algorithm>
#include <chrono>

#include "api/catalog.h"
#include "base/check.h"
#include "prove/certificate.h"
#include "rules/sample.h"

namespace tessera::api {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::vector<ProofEntry> prove_rules(const Options& options, const ProofRequest& request,
                                    const std::function<void(const ProofEntry&)>& each) {
  const std::string folder = rules_folder(options);
  rules::Certificates certificates = rules::read_certificates(folder);
  const std::vector<rules::Rule> all = rules::read_rules(folder);
  for (const std::string& name : request.names)
    TESSERA_USER_CHECK(
        std::any_of(all.begin(), all.end(), [&](const rules::Rule& r) { return r.name == name; }),
        "there is no rule '{}'", name);
  std::vector<ProofEntry> entries;
  for (const rules::Rule& rule : all) {
    const bool wanted =
        request.names.empty() ||
        std::find(request.names.begin(), request.names.end(), rule.name) != request.names.end();
    if (!wanted) continue;
    const auto start = std::chrono::steady_clock::now();
    const int calls = prove::solver_calls();
    const prove::Verdict v = prove::prove_both_ways(rule);
    const std::string hash = rules::certificate_hash(rule).to_string();
    ProofEntry entry{rule.name,
                     std::string(to_string(v.kind)),
                     v.domain,
                     v.how,
                     v.bound,
                     v.reason,
                     v.instances,
                     prove::solver_calls() - calls,
                     seconds_since(start)};
    const auto known = certificates.find(hash);
    if (request.check) {
      const auto wanted_status = prove::certificate_of(v);
      const bool same =
          wanted_status
              ? known != certificates.end() && known->second.status == wanted_status->status &&
                    known->second.detail == wanted_status->detail
              : known == certificates.end() || known->second.status == rules::Status::tested;
      if (!same) entry.status = "differs";
    } else if (const auto c = prove::certificate_of(v)) {
      certificates[hash] = *c;
    } else if (v.kind == prove::Verdict::Kind::refuted) {
      certificates.erase(hash);
    } else if (known == certificates.end() || known->second.status != rules::Status::tested) {
      const rules::SampleReport report = rules::check_rule(rule, {});
      if (report.ok)
        certificates[hash] = {rules::Status::tested, std::to_string(report.instances), rule.name};
      else certificates.erase(hash);
    }
    if (each) each(entry);
    entries.push_back(std::move(entry));
  }
  if (!request.check) rules::write_certificates(folder, certificates);
  return entries;
}

}  // namespace tessera::api
