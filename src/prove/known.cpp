// SPDX-License-Identifier: Apache-2.0
// Ones and zeros out of the operators that make them.
#include "prove/known.h"

#include <fmt/format.h>

namespace tessera::prove {
namespace {

ops::Val identity(ops::Builder& b, const Index& extent, DType type) {
  return b.op("eye_like", {ops::expand(b.scalar(0, type), {extent, extent})});
}

// [1, …, extent, …, 1] with a one at `place`.
ops::Val one_hot(ops::Builder& b, size_t rank, size_t axis, const Index& extent, const Index& place,
                 DType type) {
  const ops::Val one = ops::reshape(b.scalar(1, type), {Index(1)});
  const ir::Dims pads{place, extent - Index(1) - place};
  ir::Dims shape(rank, Index(1));
  shape[axis] = extent;
  return ops::reshape(b.op("pad", {one}, {{"pads", pads}}), shape);
}

}  // namespace

UnitKernel unit_kernel(ops::Builder& b, const std::string& name, const ir::ValueType& type,
                       const Naming& named) {
  const ir::Dims& shape = type.shape;
  UnitKernel kernel{.value = {}, .copies = named(name + "_copies"), .taps = {}, .facts = {}};
  const Index& columns = shape[1];
  ir::Dims matrix(shape.size(), Index(1));
  matrix[0] = kernel.copies * columns;
  matrix[1] = columns;
  kernel.value = ops::reshape(
      ops::expand(identity(b, columns, type.dtype), {kernel.copies, columns, columns}), matrix);
  for (size_t axis = 2; axis < shape.size(); ++axis) {
    const bool single = shape[axis] == Index(1);
    const Index tap = single ? Index(0) : named(fmt::format("{}_tap{}", name, axis - 2)) - Index(1);
    kernel.taps.push_back(tap);
    if (single) continue;
    kernel.facts.push_back({shape[axis] - Index(1) - tap, false});
    kernel.value = kernel.value * one_hot(b, shape.size(), axis, shape[axis], tap, type.dtype);
  }
  return kernel;
}

BlockDiagonal block_diagonal(ops::Builder& b, const std::string& name, const ir::ValueType& type,
                             const Naming& named, std::vector<Index>& equations) {
  const ir::Dims& shape = type.shape;
  const Index blocks = named(name + "_blocks");
  const Index rows = named(name + "_rows"), columns = named(name + "_columns");
  equations.push_back(shape[0] - blocks * rows);
  equations.push_back(shape[1] - blocks * columns);
  ir::Dims mask(shape.size(), Index(1));
  mask[0] = blocks * rows;
  mask[1] = blocks * columns;
  const ops::Val diagonal =
      ops::reshape(identity(b, blocks, type.dtype), {blocks, Index(1), blocks, Index(1)});
  const ops::Val inside =
      ops::reshape(ops::expand(diagonal, {blocks, rows, blocks, columns}), mask);
  ir::ValueType full = type;
  full.shape[0] = mask[0];
  full.shape[1] = mask[1];
  return {b.input(name, full) * inside, blocks};
}

}  // namespace tessera::prove
