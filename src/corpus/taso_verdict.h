// SPDX-License-Identifier: Apache-2.0
// Whether a rule of TASO's is true for all sizes that its operators accept.
#pragma once

#include <string>

#include "corpus/taso_instance.h"

namespace tessera::corpus {

enum class Truth : uint8_t {
  holds,      ///< on every instance that was drawn
  fails,      ///< with a counterexample
  undecided,  ///< no instance could be drawn
};
std::string_view to_string(Truth truth);

struct TasoVerdict {
  Truth truth = Truth::undecided;
  int instances = 0;  ///< on which both sides agreed
  /// Of a rule that fails: sizes, and the first element that differs by both evaluators.
  std::string counterexample;
  /// Of a rule that fails: the condition under which all drawn instances agree, or nothing.
  std::string condition;
};

struct TasoOptions {
  int instances = 150;
  uint64_t seed = 1;
};

/// Decides by random sizes and values in f64; a difference counts once the tree evaluator, which
/// shares no code with the loop evaluator, computes it too.
TasoVerdict decide(const TasoRule& rule, const TasoOptions& options = {});

}  // namespace tessera::corpus
