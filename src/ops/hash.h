// SPDX-License-Identifier: Apache-2.0
// The two stable hashes of a graph. Both are versioned, equal on every machine, and independent of
// the names of nodes, inputs and outputs and of the order in which independent nodes stand.
#pragma once

#include <vector>

#include "base/hash.h"
#include "ir/graph.h"

namespace tessera::ops {

/// Changes whenever the canonical byte stream does: hashes of different versions never compare.
inline constexpr int64_t hash_version = 1;

/// Exact structure: operators, attributes, types, sharing, contents of constants, the signature's
/// types in order. Nodes that no output needs do not count. An attribute given as another kind of
/// the same value (ints for dims) hashes the same; an attribute that repeats its default does not.
Hash128 identity_hash(const ir::Graph& graph);

/// The computation: operands of commutative operators in any order, chains of associative and
/// commutative ones flattened, inputs in any order, float constants of more than one element known
/// only by type and by which uses share them. Equal hashes mean equal computations; the converse
/// may fail where operands look alike until their own operands' sharing is known.
Hash128 computation_hash(const ir::Graph& graph);

/// For every node a hash of the expression tree that it computes: equal for nodes that compute the
/// same from the same inputs (inputs count by position). Impure nodes hash like pure ones.
std::vector<Hash128> node_hashes(const ir::Graph& graph);

/// The identity hash of one meaningful part of a node: operator, attributes, output types and
/// regions, without its operands.
Hash128 label_hash(const ir::Node& node);

}  // namespace tessera::ops
