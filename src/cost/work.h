// SPDX-License-Identifier: Apache-2.0
// How much one operator instance computes and moves, counted from its meaning (a decomposition:
// from its nodes; an opaque operator: one flop per output element).
#pragma once

#include "ops/registry.h"

namespace tessera::cost {

/// How an operator takes part in fusion.
enum class WorkKind : uint8_t {
  view,         ///< the same elements in the same order: costs nothing
  move,         ///< elements in another place
  map,          ///< every output element from a fixed number of input elements
  reduce,       ///< reductions over one operand's elements
  contraction,  ///< sums of products of two operands
  other,        ///< runs by itself
};
std::string_view to_string(WorkKind kind);

struct Work {
  WorkKind kind = WorkKind::other;
  double flops = 0;         ///< weighted: a division counts 4, an exponential 10 …
  double reduction = 1;     ///< length of the longest reduction
  double output_bytes = 0;  ///< of all outputs
};

/// Unbound symbols count as 64.
Work count_work(const ops::OpDef& def, const ops::InputTypes& inputs, const ir::Node& node);

/// Bytes of a value; unbound symbols count as 64.
double bytes_of(const ir::ValueType& type);
double elements_of(const ir::ValueType& type);

}  // namespace tessera::cost
