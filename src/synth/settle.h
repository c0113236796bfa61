// SPDX-License-Identifier: Apache-2.0
// Which rule an equation becomes: the most general of its forms that is proved for all shapes.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "rules/rule_set.h"
#include "synth/generalize.h"

namespace tessera::synth {

/// The last word on a rule: the prover, and instances that leave its sample clauses (empty axes,
/// other ranks, parameters and element types).
struct Judgement {
  enum class By : uint8_t { nobody, instances, prover };
  By refuted = By::nobody;
  std::string counterexample;      ///< of a refuted rule
  rules::Certificate certificate;  ///< of any other; its name is left open
  /// Of a rule both ways that is not proved: that direction is not.
  bool not_forward = false, not_backward = false;
};

struct JudgeOptions {
  int instances = 1000;  ///< that satisfy the conditions, drawn beyond the sample clauses
  /// Rules that are not proved need not be true: they are not tried on instances.
  bool proved_only = false;
};

/// Both directions of a rule that has two.
Judgement judge_by_proof(const LearnedRule& rule);
Judgement judge_by_instances(const LearnedRule& rule, const JudgeOptions& options);

std::string to_text(const Judgement& judgement);
Judgement judgement_from_text(const std::string& text);

struct SettleOptions {
  /// Random instances that every form is tried on for each sample clause, and in all that one must
  /// stand before it is judged.
  int instances = 40, kept_instances = 1000;
  JudgeOptions judge;
  /// Forms of an equation that may be refuted, or stay without a proof, before it is given up.
  int most_wrong = 4, most_weak = 3;
};

struct Settled {
  enum class Kind : uint8_t {
    refused,   ///< no form stands: an accident of the shapes, or without a spelling
    unproved,  ///< `rule` stands, but neither it nor a form that says less was proved
    proved
  };
  Kind kind = Kind::refused;
  std::optional<LearnedRule> rule;
  rules::Certificate certificate;
  int wrong = 0;            ///< forms that were refuted on the way
  std::string refutations;  ///< of those that stood all random instances, line by line
};

/// A function of the equation and the options alone: what it remembers only saves time, and may
/// come from another process that settled the same equation.
class Settler {
 public:
  Settler(TermPool& pool, const SettleOptions& options)
      : options_(options), generalizer_(pool, options.instances) {}
  Settled one(const Equation& equation);
  Settled pair(const Equation& first, const Equation& second);

  std::string take_news();
  void learn(const std::string& news);

 private:
  Generalizer::Opinion look_at(LearnedRule& rule, Settled& settled, int& weak);
  Judgement judgement(const LearnedRule& rule);
  const Judgement& remembered(const std::string& kind, const LearnedRule& rule,
                              const std::function<Judgement()>& judge);

  const SettleOptions& options_;
  Generalizer generalizer_;
  std::map<std::string, Judgement> judged_, tried_;  ///< by hash of the text
  std::string news_;
};

}  // namespace tessera::synth
