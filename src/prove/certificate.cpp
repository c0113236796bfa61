// SPDX-License-Identifier: Apache-2.0
// Text of certificates.
#include "prove/certificate.h"

#include "base/check.h"

namespace tessera::prove {

Verdict prove_both_ways(const rules::Rule& rule, const ProveOptions& options) {
  Verdict forward = prove(rule, options);
  if (!rule.both_ways || !forward.holds()) return forward;
  Verdict back = prove(rule.reversed(), options);
  if (!back.holds()) {
    back.reason = "reversed: " + back.reason;
    return back;
  }
  forward.instances += back.instances;
  forward.from_zero &= back.from_zero;
  if (back.kind == Verdict::Kind::bounded) {
    forward.kind = back.kind;
    if (forward.bound != back.bound)
      forward.bound += (forward.bound.empty() ? "" : "; ") + back.bound;
  }
  return forward;
}

Verdict prove_stepwise(const rules::Rule& rule, const ProveOptions& options) {
  ProveOptions without_solver;
  without_solver.limits.steps = 0;
  const Verdict quick = prove_both_ways(rule, without_solver);
  const bool decided = quick.kind == Verdict::Kind::proved || quick.kind == Verdict::Kind::refuted;
  return decided ? quick : prove_both_ways(rule, options);
}

std::optional<rules::Certificate> certificate_of(const Verdict& v) {
  if (!v.holds()) return std::nullopt;
  rules::Certificate c;
  c.status = v.kind == Verdict::Kind::proved ? rules::Status::proved : rules::Status::bounded;
  c.detail = fmt::format("{} instances over {} by {}", v.instances, v.domain, v.how);
  c.detail += v.from_zero ? ", sizes from 0" : ", sizes from 1";
  if (!v.bound.empty()) c.detail += " (" + v.bound + ")";
  return c;
}

}  // namespace tessera::prove
