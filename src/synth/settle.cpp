// SPDX-License-Identifier: Apache-2.0
// Forms, judged one after the other.
#include "synth/settle.h"

#include <sstream>

#include "audit/audit.h"
#include "base/check.h"
#include "base/hash.h"
#include "corpus/soundness.h"
#include "prove/certificate.h"

namespace tessera::synth {
namespace {

using Kind = prove::Verdict::Kind;

Judgement refuted(Judgement::By by, std::string counterexample) {
  Judgement j;
  j.refuted = by;
  j.counterexample = std::move(counterexample);
  return j;
}

// Rules that need much of a solver are given up early, for a form that says less may not.
prove::Verdict try_to_prove(const rules::Rule& rule) {
  prove::ProveOptions options;
  options.limits.steps = 300'000;
  options.most_instances = 160;
  return prove::prove_stepwise(rule, options);
}

// How many instances agree; below 0 if some do not.
int try_instances(const rules::Rule& rule, int instances, std::string& counterexample) {
  const corpus::SoundnessReport r = corpus::check_soundness(rule, {.instances = instances});
  // In exact arithmetic, and with empty tensors more often.
  const audit::AuditReport a =
      r.failure.empty() ? audit::audit(rule, {.instances = instances, .attempts = 25 * instances})
                        : audit::AuditReport{};
  counterexample = r.failure + a.failure;
  return counterexample.empty() ? r.instances + a.agreed() : -1;
}

int rank_of(rules::Status status) { return status == rules::Status::bounded ? 1 : 0; }

}  // namespace

Judgement judge_by_proof(const LearnedRule& learned) {
  const rules::Rule rule = rules::parse_rule(learned.text(), "learned", 1);
  Judgement result;
  const prove::Verdict verdict = try_to_prove(rule);
  if (verdict.kind == Kind::refuted) return refuted(Judgement::By::prover, verdict.reason);
  if (verdict.kind != Kind::proved) {
    // A direction that is proved alone may be worth a rule.
    result.not_backward = verdict.reason.starts_with("reversed: ");
    result.not_forward = verdict.kind == Kind::unknown && !result.not_backward;
  }
  result.certificate.status = rules::Status::tested;
  if (auto certificate = prove::certificate_of(verdict)) result.certificate = *certificate;
  return result;
}

Judgement judge_by_instances(const LearnedRule& learned, const JudgeOptions& options) {
  const rules::Rule rule = rules::parse_rule(learned.text(), "learned", 1);
  int agreed = learned.instances;
  std::vector<rules::Rule> directions{rule};
  if (rule.both_ways) directions.push_back(rule.reversed());
  for (const rules::Rule& direction : directions) {
    std::string counterexample;
    const int more = try_instances(direction, options.instances, counterexample);
    if (more < 0) return refuted(Judgement::By::instances, std::move(counterexample));
    agreed += more;
  }
  Judgement result;
  result.certificate = {rules::Status::tested, std::to_string(agreed), {}};
  return result;
}

// "WHO NOT-FORWARD NOT-BACKWARD STATUS\nTEXT", by number.
std::string to_text(const Judgement& j) {
  return fmt::format("{} {} {} {}\n{}", static_cast<int>(j.refuted),
                     static_cast<int>(j.not_forward), static_cast<int>(j.not_backward),
                     static_cast<int>(j.certificate.status),
                     j.refuted == Judgement::By::nobody ? j.certificate.detail : j.counterexample);
}

Judgement judgement_from_text(const std::string& text) {
  Judgement j;
  j.refuted = static_cast<Judgement::By>(text.at(0) - '0');
  j.not_forward = text.at(2) == '1';
  j.not_backward = text.at(4) == '1';
  j.certificate.status = static_cast<rules::Status>(text.at(6) - '0');
  (j.refuted == Judgement::By::nobody ? j.certificate.detail : j.counterexample) = text.substr(8);
  return j;
}

const Judgement& Settler::remembered(const std::string& kind, const LearnedRule& rule,
                                     const std::function<Judgement()>& judge) {
  const std::string key = Hasher().add(rule.text()).finish().to_string();
  auto& known = kind == "judged" ? judged_ : tried_;
  const auto it = known.find(key);
  if (it != known.end()) return it->second;
  const Judgement& j = known.emplace(key, judge()).first->second;
  const std::string text = to_text(j);
  news_ += fmt::format("{} {} {}\n{}\n", kind, key, text.size(), text);
  return j;
}

// The prover's word; then, where it is to become a rule, the instances'.
Judgement Settler::judgement(const LearnedRule& rule) {
  Judgement j = remembered("judged", rule, [&] { return judge_by_proof(rule); });
  const bool proved = j.certificate.status == rules::Status::proved;
  if (j.refuted != Judgement::By::nobody || (options_.judge.proved_only && !proved)) return j;
  const Judgement& tried =
      remembered("tried", rule, [&] { return judge_by_instances(rule, options_.judge); });
  if (tried.refuted != Judgement::By::nobody) return tried;
  if (j.certificate.status == rules::Status::tested) j.certificate = tried.certificate;
  return j;
}

Generalizer::Opinion Settler::look_at(LearnedRule& rule, Settled& settled, int& weak) {
  using Opinion = Generalizer::Opinion;
  const auto is_wrong = [&] {
    const bool enough = ++settled.wrong >= options_.most_wrong;
    return Opinion{enough ? Opinion::Kind::stop : Opinion::Kind::wrong};
  };
  if (!generalizer_.confirm(rule, options_.kept_instances)) return is_wrong();
  const Judgement j = judgement(rule);
  if (j.refuted != Judgement::By::nobody) {
    settled.refutations +=
        fmt::format("  refuted by {}: {}\n    {}\n",
                    j.refuted == Judgement::By::prover ? "the prover" : "strange instances",
                    rule.text(), j.counterexample);
    return is_wrong();
  }
  const bool proved = j.certificate.status == rules::Status::proved;
  const bool better =
      !settled.rule || rank_of(j.certificate.status) > rank_of(settled.certificate.status);
  if (proved || better) {
    settled.rule = rule;
    settled.certificate = j.certificate;
    settled.kind = proved ? Settled::Kind::proved : Settled::Kind::unproved;
  }
  if (proved) return {};
  return {++weak >= options_.most_weak ? Opinion::Kind::stop : Opinion::Kind::weak, j.not_forward,
          j.not_backward};
}

Settled Settler::one(const Equation& equation) {
  Settled settled;
  int weak = 0;
  generalizer_.forms(equation, [&](LearnedRule& r) { return look_at(r, settled, weak); });
  return settled;
}

Settled Settler::pair(const Equation& first, const Equation& second) {
  Settled settled;
  int weak = 0;
  generalizer_.pair_forms(first, second, [&](LearnedRule& r) { return look_at(r, settled, weak); });
  return settled;
}

std::string Settler::take_news() { return generalizer_.take_news() + std::exchange(news_, {}); }

void Settler::learn(const std::string& news) {
  std::istringstream in(news);
  for (std::string word; in >> word;) {
    if (word != "judged" && word != "tried") {
      generalizer_.learn(word, in);
      continue;
    }
    std::string key;
    size_t size = 0;
    in >> key >> size;
    in.ignore();
    std::string text(size, '\0');
    in.read(text.data(), static_cast<std::streamsize>(size));
    (word == "judged" ? judged_ : tried_).try_emplace(key, judgement_from_text(text));
  }
}

}  // namespace tessera::synth
