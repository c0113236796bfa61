// SPDX-License-Identifier: Apache-2.0
// check_proofs [FOLDER [INSTANCES [RULE…]]]: re-validates every certified rule of a folder without
// the prover. Prints what is wrong and the counts; exits with 1 if a rule is false, has no
// certificate for its text or could not be evaluated.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <set>

#include "audit/audit.h"

int main(int argc, char** argv) try {
  using namespace tessera;
  const std::string folder = argc > 1 ? argv[1] : "rules";
  audit::AuditOptions options;
  if (argc > 2) options.instances = std::max(1, std::atoi(argv[2]));
  const std::set<std::string> names(argv + std::min(argc, 3), argv + argc);
  const rules::Certificates certificates = rules::read_certificates(folder);
  std::map<std::string, int> by_status;
  int wrong = 0, exact = 0, ordered = 0, empty = 0, undecided = 0, in_field = 0;
  for (const rules::Rule& rule : rules::read_rules(folder)) {
    if (!names.empty() && !names.contains(rule.name)) continue;
    const audit::CertificateReport r = audit::check_certificate(rule, certificates, options);
    ++by_status[std::string(to_string(r.status))];
    exact += r.report.exact;
    ordered += r.report.ordered;
    empty += r.report.empty;
    undecided += r.report.undecided;
    in_field += r.report.ordered == 0 && r.report.exact > 0;
    if (r.problem.empty()) continue;
    ++wrong;
    std::printf("%s (%s) %s\n", r.name.c_str(), std::string(to_string(r.status)).c_str(),
                r.problem.c_str());
  }
  for (const auto& [status, count] : by_status) std::printf("%d %s\n", count, status.c_str());
  std::printf(
      "%d instances equal in the prime field, %d in extended precision only, %d of them with empty "
      "tensors, %d not evaluated; %d rules decided in the field throughout; %d rules not "
      "confirmed\n",
      exact, ordered, empty, undecided, in_field, wrong);
  return wrong ? 1 : 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "check_proofs: %s\n", e.what());
  return 2;
}
