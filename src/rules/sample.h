// SPDX-License-Identifier: Apache-2.0
// Checks rules on random instances: the left side is built from the rule's sample clause, the rule
// must fire on it, and both sides must compute the same.
//
// Mode `exact` compares bit for bit in the operands' own types, on values that include NaN,
// infinities and −0; mode `real` compares float64 evaluations.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/rng.h"
#include "ir/graph.h"
#include "rules/rule.h"

namespace tessera::rules {

struct SampleOptions {
  int instances = 8;  ///< that fire, for each direction
  int attempts = 600;
  uint64_t seed = 1;
};

struct SampleReport {
  bool ok = false;
  int instances = 0;    ///< that fired and agreed
  std::string message;  ///< of the first failure
};

SampleReport check_rule(const Rule& rule, const SampleOptions& options);

/// A random instance of the rule's left side, its results as outputs; nothing if the drawn shapes
/// do not fit together.
std::optional<ir::Graph> sample_left_side(const Rule& rule, Rng& rng);

/// Random values for the inputs of a graph. Values of an input are positive if its name ends in
/// "+"; `special` mixes in NaN, infinities and −0.
std::vector<Tensor> random_inputs(const ir::Graph& graph, Rng& rng, bool special);

}  // namespace tessera::rules
