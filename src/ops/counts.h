// SPDX-License-Identifier: Apache-2.0
// How much work an operator instance is, derived from its meaning: nothing is written by hand per
// operator but for the few opaque ones.
#pragma once

#include "ir/graph.h"
#include "ir/meaning.h"
#include "ops/op_def.h"

namespace tessera::ops {

/// Work of a node or a graph, as doubles because large models exceed nothing that way.
struct Counts {
  /// Scalar primitives and reduction steps on data. Index arithmetic, bounds, casts and `select`
  /// are free; transcendental primitives count below instead.
  double flops = 0;
  double transcendental = 0;  ///< exp, log, trigonometric, tanh, erf, pow
  /// Input elements that are read, each once (a slice reads what it keeps), and outputs written.
  double bytes_read = 0;
  double bytes_written = 0;

  Counts& operator+=(const Counts& other);
  bool operator==(const Counts&) const = default;
};

/// Whether a primitive takes many instructions: it counts as transcendental.
bool is_transcendental(ir::Prim prim);

/// Work of one meaning. Every subexpression counts once per point of the loops that it depends on:
/// what does not depend on an inner loop is taken as computed outside it. An extent that varies
/// with outer indices counts with its mean. Throws UserError when a size is symbolic.
Counts count(const ir::Meaning& meaning);

/// Work of one node. A composite sums the flops of its decomposition, but moves only its own
/// inputs and outputs; `scan` counts its region once per step; inputs and constants are free.
/// An opaque operator counts one flop per input and output element.
Counts count(const ir::Graph& graph, const ir::Node& node);
Counts count(const ir::Graph& graph);

/// Largest sum of bytes of values alive at once when nodes run in order, each value from its node
/// to its last use. Graph inputs and constants are not counted; graph outputs live to the end.
int64_t peak_bytes(const ir::Graph& graph);
/// Bytes of all constants, the regions' included.
int64_t constant_bytes(const ir::Graph& graph);

}  // namespace tessera::ops
