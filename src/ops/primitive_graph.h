// SPDX-License-Identifier: Apache-2.0
// The way back from an elementwise meaning to a graph: one single-primitive operator for every node
// of the scalar expression. It serves targets that know fewer operators than we do.
#pragma once

#include <optional>

#include "ir/meaning.h"

namespace tessera::ops {

/// A graph of the records add, mul, erf, where, … that computes what `meaning` computes; its inputs
/// are the meaning's present inputs in order. Nothing if the meaning is not elementwise (every
/// input read at the output's own indices, under broadcasting), has several outputs, or uses a
/// primitive that is no record of its own.
std::optional<ir::Graph> primitive_graph(const ir::Meaning& meaning);

}  // namespace tessera::ops
