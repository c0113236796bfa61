// SPDX-License-Identifier: Apache-2.0
// Checks rules on random instances: the left side is built from the rule's sample clause, the rule
// must fire on it, and both sides must compute the same.
//
// Mode `exact` compares bit for bit in the operands' own types, on values that include NaN,
// infinities and −0; mode `real` compares float64 evaluations.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

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
/// do not fit together. `wild`: sizes, ranks, attributes, element types and constants also leave
/// what the sample clause says, so that conditions are violated too.
std::optional<ir::Graph> sample_left_side(const Rule& rule, Rng& rng, bool wild = false);

struct RewrittenInstance {
  bool matched = false;            ///< the rule matches all outputs at once
  std::optional<ir::Graph> graph;  ///< nothing if the right side is undefined or of another type
};
/// Applies the rule to an instance of its left side.
RewrittenInstance rewrite_instance(const Rule& rule, const ir::Graph& left);

/// What differs between the outputs of two graphs, bit for bit in mode exact, else in float64;
/// nothing if they agree. Throws UserError where an index is out of range.
std::optional<std::string> disagreement(const ir::Graph& left, const ir::Graph& right, Mode mode,
                                        std::span<const Tensor> inputs);

/// Random values for the inputs of a graph. Values of an input are positive if its name ends in
/// "+"; `special` mixes in NaN, infinities and −0.
std::vector<Tensor> random_inputs(const ir::Graph& graph, Rng& rng, bool special);

}  // namespace tessera::rules
