// SPDX-License-Identifier: Apache-2.0
// Tensors of which a rule's conditions know the elements, as graphs over symbolic sizes.
#pragma once

#include <functional>

#include "algebra/facts.h"
#include "ops/builder.h"

namespace tessera::prove {

using namespace algebra;  // proofs are written in its terms

/// Sizes by name, as far as they are known already.
using Naming = std::function<Index(const std::string&)>;

/// A kernel [rows, columns, taps…] whose rows are identity matrices, one below the other, at one
/// tap: what convolving with it copies depends on pads and groups (condition `unit-kernel`).
struct UnitKernel {
  ops::Val value;
  Index copies;              ///< rows = copies · columns
  std::vector<Index> taps;   ///< where the ones are, along each axis from the third
  std::vector<Guard> facts;  ///< each tap lies inside of its axis
};
UnitKernel unit_kernel(ops::Builder& builder, const std::string& name, const ir::ValueType& type,
                       const Naming& named);

/// A tensor of any elements in equal blocks on the diagonal of its first two axes, zero elsewhere.
struct BlockDiagonal {
  ops::Val value;
  Index blocks;
};
BlockDiagonal block_diagonal(ops::Builder& builder, const std::string& name,
                             const ir::ValueType& type, const Naming& named,
                             std::vector<Index>& equations);

}  // namespace tessera::prove
