// SPDX-License-Identifier: Apache-2.0
// Copies meanings from pool to pool while reads are replaced, knowing the extent of every variable.
#pragma once

#include <functional>
#include <span>

#include "ir/meaning.h"
#include "plan/linear.h"

namespace tessera::plan {

/// Receives the input number, type and copied indices of a read; returns what stands for it.
using OnRead = std::function<ir::Expr(uint32_t, DType, std::span<const ir::Expr>)>;

/// Copies expressions into one pool. Bound variables become free ones of known extent while their
/// reduction is being copied. Not thread-safe.
class Copier {
 public:
  Copier(ir::ExprPool& target, Shape output) : target_(target) {
    extents_.output = std::move(output);
  }

  /// `root` with output variable i replaced by output[i].
  ir::Expr copy(ir::Expr root, std::span<const ir::Expr> output, const OnRead& on_read);
  const Extents& extents() const { return extents_; }
  ir::ExprPool& pool() { return target_; }
  /// The output variables of the target: one for each axis, the constant 0 where the extent is 1.
  std::vector<ir::Expr> outputs();

 private:
  ir::ExprPool& target_;
  Extents extents_;
};

/// Number of nodes under the root.
size_t node_count(ir::Expr root);
/// True if a reduction occurs under the root.
bool has_reduction(ir::Expr root);
/// True if a read occurs under the root.
bool has_read(ir::Expr root);

}  // namespace tessera::plan
