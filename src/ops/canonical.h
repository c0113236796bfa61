// SPDX-License-Identifier: Apache-2.0
// One spelling for graphs that differ only in ways without influence on any bit of the result.
#pragma once

#include "ir/graph.h"

namespace tessera::ops {

/// Dead nodes gone, operands of commutative operators sorted by structural hash, attributes that
/// equal their record's default dropped, negative and unsorted axes rewritten where the meaning
/// stays the same. Inputs, outputs, names and metadata stay. Idempotent.
ir::Graph canonicalize(const ir::Graph& graph);

/// The attributes of one node in canonical form.
ir::AttrMap canonical_attributes(const ir::Graph& graph, const ir::Node& node);

}  // namespace tessera::ops
