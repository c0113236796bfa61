// SPDX-License-Identifier: Apache-2.0
// One stream of wild instances serves the rule and the rule without each of its conditions.
#include "corpus/soundness.h"

#include "base/check.h"
#include "rules/sample.h"

namespace tessera::corpus {
namespace {

using Kind = ConditionReport::Kind;

bool is_policy(const rules::Term& t) {
  const char* const names[] = {"const", "uses", "blocks", "pays"};
  if (t.kind == rules::Term::Kind::call &&
      std::find(std::begin(names), std::end(names), t.name) != std::end(names))
    return true;
  return std::any_of(t.args.begin(), t.args.end(), is_policy);
}

// The text of one condition: a rule that has no other.
std::string text_of(const rules::Rule& rule, size_t k) {
  rules::Rule alone = rule;
  alone.conditions = {rule.conditions[k]};
  return alone.condition_text();
}

enum class Outcome : uint8_t { not_matched, undefined, agrees, differs };

Outcome outcome_of(const rules::Rule& rule, const ir::Graph& left, Rng& rng, std::string& message) {
  const rules::RewrittenInstance r = rules::rewrite_instance(rule, left);
  if (!r.graph) return r.matched ? Outcome::undefined : Outcome::not_matched;
  try {
    const bool special = rule.mode == rules::Mode::exact && rng.uniform() < 0.5;
    const auto inputs = rules::random_inputs(left, rng, special);
    const auto d = rules::disagreement(left, *r.graph, rule.mode, inputs);
    if (!d) return Outcome::agrees;
    message = *d;
    return Outcome::differs;
  } catch (const UserError&) {
    return Outcome::not_matched;  // an index out of range, on the left side as well
  }
}

class Check {
 public:
  Check(const rules::Rule& rule, const SoundnessOptions& options)
      : rule_(rule), options_(options), rng_(options.seed) {
    for (size_t k = 0; k < rule.conditions.size(); ++k) {
      report_.conditions.push_back({.text = text_of(rule, k)});
      if (is_policy(rule.conditions[k])) report_.conditions[k].kind = Kind::policy;
      without_.push_back(rule);
      without_[k].conditions.erase(without_[k].conditions.begin() + static_cast<long>(k));
    }
  }

  SoundnessReport run() {
    const int64_t draws = int64_t{options_.instances} * options_.attempts;
    for (int64_t k = 0; k < draws && !finished(); ++k) {
      const auto left = rules::sample_left_side(rule_, rng_, k % 4 != 0);
      if (left) look_at(*left);
    }
    for (ConditionReport& c : report_.conditions)
      if (c.kind == Kind::unexercised && c.agreed > 0) c.kind = Kind::too_strong;
    return std::move(report_);
  }

 private:
  bool open(size_t k) const {
    const ConditionReport& c = report_.conditions[k];
    return (c.kind == Kind::unexercised || c.kind == Kind::defines) &&
           c.violated < options_.instances;
  }

  bool finished() const {
    if (!report_.failure.empty()) return true;
    if (report_.instances < options_.instances) return false;
    for (size_t k = 0; k < without_.size(); ++k)
      if (open(k)) return false;
    return true;
  }

  void look_at(const ir::Graph& left) {
    const bool wanted = report_.instances < options_.instances;
    std::string message;
    const Outcome whole = wanted ? outcome_of(rule_, left, rng_, message)
                          : rules::rewrite_instance(rule_, left).matched ? Outcome::undefined
                                                                         : Outcome::not_matched;
    if (whole == Outcome::differs) report_.failure = message;
    if (whole == Outcome::agrees) ++report_.instances;
    if (whole != Outcome::not_matched) return;
    for (size_t k = 0; k < without_.size(); ++k) {
      if (!open(k)) continue;
      const Outcome o = outcome_of(without_[k], left, rng_, message);
      if (o == Outcome::not_matched) continue;
      ConditionReport& c = report_.conditions[k];
      ++c.violated;
      if (o == Outcome::agrees) ++c.agreed;
      if (o == Outcome::undefined) c.kind = Kind::defines;
      if (o == Outcome::differs) c.kind = Kind::needed;
    }
  }

  const rules::Rule& rule_;
  const SoundnessOptions& options_;
  Rng rng_;
  std::vector<rules::Rule> without_;
  SoundnessReport report_;
};

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::needed: return "needed";
    case Kind::defines: return "defines the right side";
    case Kind::policy: return "policy";
    case Kind::too_strong: return "too strong";
    case Kind::unexercised: return "unexercised";
  }
  return "";
}

SoundnessReport check_soundness(const rules::Rule& rule, const SoundnessOptions& options) {
  return Check(rule, options).run();
}

}  // namespace tessera::corpus
