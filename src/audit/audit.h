// SPDX-License-Identifier: Apache-2.0
// An independent check of certified rules. It shares nothing with the prover but the rules and the
// operators' meanings: each rule is applied to random concrete instances of its left side, inside
// and outside of its sample clauses, and both sides are evaluated by an evaluator of its own.
#pragma once

#include <string>
#include <vector>

#include "rules/rule_set.h"

namespace tessera::audit {

struct AuditOptions {
  int instances = 24;  ///< that the rule applies to, for each direction
  int attempts = 600;
  uint64_t seed = 1;
};

struct AuditReport {
  int exact = 0;      ///< instances with equal sides in the prime field, or of integers
  int ordered = 0;    ///< equal sides in extended precision only
  int empty = 0;      ///< among them, with a tensor that has no elements
  int undecided = 0;  ///< neither arithmetic defines them
  std::string failure;
  int agreed() const { return exact + ordered; }
};

/// One direction of a rule.
AuditReport audit(const rules::Rule& rule, const AuditOptions& options);

struct CertificateReport {
  std::string name;
  rules::Status status = rules::Status::untested;
  AuditReport report;  ///< of both directions
  /// What is wrong: a false instance, no valid certificate, no instance; empty if nothing is.
  std::string problem;
};

/// The rule as it is written against the certificates of its folder, by the hash of its text.
CertificateReport check_certificate(const rules::Rule& rule,
                                    const rules::Certificates& certificates,
                                    const AuditOptions& options);

}  // namespace tessera::audit
