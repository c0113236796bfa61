// SPDX-License-Identifier: Apache-2.0
// Checks every invariant of a graph. Passes call it on their results.
#pragma once

#include "ir/graph.h"

namespace tessera::ops {

/// Throws InternalError naming the node unless: operators are known, attributes and the number of
/// operands are what the record says, operands stand before their users, the types stated are
/// those that the record infers, regions are closed graphs that verify, inputs and outputs have
/// unique non-empty names. Types that depend on a value which the graph does not hold are taken as
/// stated.
void verify(const ir::Graph& graph);

}  // namespace tessera::ops
