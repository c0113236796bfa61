// SPDX-License-Identifier: Apache-2.0
// What the planner asks of meanings when it decides about fusion: how often a source is read, how
// much an element costs.
#pragma once

#include <vector>

#include "plan/draft.h"

namespace tessera::plan {

/// One read in a meaning.
struct ReadUse {
  uint32_t input = 0;
  /// How often it is evaluated in all, when everything is computed outside the loops that it does
  /// not depend on. Loops are nested in the order of the output's axes, reductions inside.
  double evaluations = 0;
  /// The indices are the output's own, axis by axis (0 where the extent is 1).
  bool identity = false;
};

/// All reads of the step's only output, each occurrence in each reduction counted.
std::vector<ReadUse> read_uses(const Draft& draft, const Step& step);

/// Cost of the whole step, in simple operations on floats.
double total_cost(const Draft& draft, const Step& step);

/// Consumers of every value: numbers of live steps, ascending; a step that reads a value twice
/// stands there once. Graph outputs count as one more consumer, steps.size().
std::vector<std::vector<size_t>> find_consumers(const Draft& draft);

/// Substitutes the meaning of `producer` for every read of its destination in `consumer`.
void inline_producer(const Draft& draft, Step& consumer, const Step& producer);

/// The loop order that layouts will give (see assign_layouts), kept in Value::order for the cost.
void predict_orders(Draft& draft);

}  // namespace tessera::plan
