// SPDX-License-Identifier: Apache-2.0
// Judgements as text of child processes.
#include "synth/judge.h"

#include "audit/audit.h"
#include "base/check.h"
#include "base/processes.h"
#include "corpus/soundness.h"
#include "prove/certificate.h"

namespace tessera::synth {
namespace {

Judgement refuted(Judgement::By by, bool backward, std::string counterexample) {
  Judgement j;
  j.refuted = by;
  j.backward = backward;
  j.counterexample = std::move(counterexample);
  return j;
}

Judgement tested(int instances) {
  Judgement j;
  j.certificate = {rules::Status::tested, std::to_string(instances), {}};
  return j;
}

Judgement judge_one(const LearnedRule& learned, const JudgeOptions& options) {
  const rules::Rule rule = rules::parse_rule(learned.text(), "learned", 1);
  const corpus::SoundnessOptions strange{.instances = options.instances};
  // In exact arithmetic, and with empty tensors more often.
  const audit::AuditOptions audited{.instances = options.instances,
                                    .attempts = 25 * options.instances};
  int instances = learned.instances;
  std::vector<rules::Rule> directions{rule};
  if (rule.both_ways) directions.push_back(rule.reversed());
  for (const rules::Rule& direction : directions) {
    const bool backward = &direction != &directions[0];
    const corpus::SoundnessReport r = corpus::check_soundness(direction, strange);
    if (!r.failure.empty()) return refuted(Judgement::By::instances, backward, r.failure);
    const audit::AuditReport a = audit::audit(direction, audited);
    if (!a.failure.empty()) return refuted(Judgement::By::instances, backward, a.failure);
    instances += r.instances + a.agreed();
  }
  const prove::Verdict verdict = prove::prove_both_ways(rule);
  if (verdict.kind == prove::Verdict::Kind::refuted)
    return refuted(Judgement::By::prover, verdict.reason.starts_with("reversed: "), verdict.reason);
  Judgement result = tested(instances);
  if (auto certificate = prove::certificate_of(verdict)) result.certificate = *certificate;
  return result;
}

// "WHO BACKWARD STATUS\nTEXT", by number.
std::string to_text(const Judgement& j) {
  return fmt::format("{} {} {}\n{}", static_cast<int>(j.refuted), static_cast<int>(j.backward),
                     static_cast<int>(j.certificate.status),
                     j.refuted == Judgement::By::nobody ? j.certificate.detail : j.counterexample);
}

Judgement from_text(const std::string& text) {
  Judgement j;
  j.refuted = static_cast<Judgement::By>(text.at(0) - '0');
  j.backward = text.at(2) == '1';
  j.certificate.status = static_cast<rules::Status>(text.at(4) - '0');
  (j.refuted == Judgement::By::nobody ? j.certificate.detail : j.counterexample) = text.substr(6);
  return j;
}

}  // namespace

std::vector<Judgement> judge(std::span<const LearnedRule* const> rules,
                             const JudgeOptions& options) {
  ProcessOptions processes{.at_a_time = options.processes};
  if (options.progress)
    processes.progress = [&](size_t done) { options.progress(done, rules.size()); };
  const auto texts = in_processes(
      rules.size(), [&](size_t k) { return to_text(judge_one(*rules[k], options)); }, processes);
  std::vector<Judgement> result;
  for (size_t k = 0; k < rules.size(); ++k)
    result.push_back(texts[k] ? from_text(*texts[k]) : tested(rules[k]->instances));
  return result;
}

}  // namespace tessera::synth
