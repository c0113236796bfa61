// SPDX-License-Identifier: Apache-2.0
// Is each rule true wherever it applies, and are its conditions needed? Random instances, within
// what the sample clause says and beyond it.
#pragma once

#include <string>
#include <vector>

#include "rules/rule_set.h"

namespace tessera::corpus {

struct ConditionReport {
  enum class Kind : uint8_t {
    needed,       ///< without it the sides differ
    defines,      ///< without it the right side is undefined or of another type
    policy,       ///< about constants and uses: says where the rule pays, not where it is true
    too_strong,   ///< violated alone on many instances, on which both sides agree
    unexercised,  ///< no instance violates it alone
  };
  std::string text;
  Kind kind = Kind::unexercised;
  int violated = 0;  ///< instances that violate it alone
  int agreed = 0;    ///< … on which both sides agree all the same
};
std::string_view to_string(ConditionReport::Kind kind);

struct SoundnessReport {
  int instances = 0;    ///< that satisfy the conditions; both sides agree on all but the failure
  std::string failure;  ///< the first instance on which they differ
  std::vector<ConditionReport> conditions;
};

struct SoundnessOptions {
  int instances = 1000;  ///< wanted: satisfying all conditions; violating each one alone
  int attempts = 60;     ///< draws for each instance wanted, at most
  uint64_t seed = 1;
};

/// Both directions of a rule are rules of their own here.
SoundnessReport check_soundness(const rules::Rule& rule, const SoundnessOptions& options = {});

}  // namespace tessera::corpus
