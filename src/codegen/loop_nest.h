// SPDX-License-Identifier: Apache-2.0
// How a kernel walks its outputs: which axes melt into one, which axis lies in vector lanes, what
// one row is, and along which variable each reduction is vectorized.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "ir/meaning.h"
#include "ops/index_analysis.h"

namespace tessera::codegen {

/// The variables a node depends on: bit n for output variable n, bit 15 + n for bound variable n.
using VarMask = uint64_t;
VarMask variable_bit(ir::Var var);

/// One axis of the loop nest: output axes that every index uses as one are one, carried by the
/// innermost of their variables.
struct NestAxis {
  uint32_t variable = 0;
  int64_t extent = 1;
};

struct LoopNest {
  /// REQUIRES: outputs of one shape, known sizes, at least one element.
  LoopNest(const ir::Meaning& meaning, int f32_lanes);

  const ir::Meaning& meaning;
  const ir::ExprPool& pool;
  std::vector<ir::ExprId> roots;
  std::vector<Shape> inputs;
  Shape shape;
  ops::IndexAnalysis analysis;
  std::vector<VarMask> masks;     ///< by node
  std::vector<bool> tainted;      ///< by node: may read outside a tensor without a guard
  std::set<ir::ExprId> unproven;  ///< reads that may

  std::vector<NestAxis> outer;  ///< outermost first
  /// The axis in lanes; absent when every row is one element, so that reductions have the lanes.
  std::optional<NestAxis> inner;
  /// An axis inside `inner` of a few elements: their vectors are computed one after the other and
  /// stored as one (channels of an image, brought innermost).
  std::optional<NestAxis> interleaved;
  int lanes = 16;
  int64_t tile = 0;  ///< elements of the inner axis in one row (all: its extent)
  /// Neighbours of the last outer axis that one row takes together, inside its loop over lanes.
  int64_t group = 1;
  int64_t rows = 1;

  /// The variables of directly nested reductions of one kind, outermost first, and the body.
  struct Chain {
    std::vector<ir::ExprId> nodes;
    ir::ExprId body;
  };
  Chain chain(ir::ExprId reduce) const;
  /// Which of the chain's variables goes into lanes when no outer loop has them, or -1.
  int lane_variable(const Chain& chain);

 private:
  void find_masks();
  void find_uses(ir::ExprId id, double weight);
  void use(ops::Affine affine, bool is_read, double weight);
  void melt_axes();
  void choose_lanes(int f32_lanes);
  void group_rows(int f32_lanes);
  bool interleaves(int f32_lanes);
  int64_t tile_size();
  double lane_score(ir::ExprId body, VarMask variable);
  int64_t coefficient(const ops::Affine& affine, VarMask variable, bool& is_plain) const;

  std::set<ir::ExprId> visited_;
  std::vector<ops::Affine> uses_;
};

/// What a later loop over a row would do again. A chain of reductions and elementwise steps over
/// the same rows (softmax, normalizations, a variance around a mean) is one kernel with a loop for
/// each reduction: an expensive value that an earlier loop has computed for the same place of the
/// row is kept in a buffer that stays in the first caches, and what both loops read is near the
/// second time.
struct RowReuse {
  /// `value` as the loop of `reduce` computes it, lane by lane along `variable`.
  struct Source {
    ir::ExprId reduce = 0, value = 0;
    VarMask variable = 0;
    int64_t extent = 0;
  };
  /// By node of a later loop over lanes: the same value in an earlier one. The later loop's lanes
  /// run along the node's only variable of the row.
  std::map<ir::ExprId, Source> kept;
  /// Reads whose element an earlier loop over the row has read.
  std::set<ir::ExprId> again;
  /// The reduction whose loop is the first over the row, when the last one writes as many elements.
  std::optional<ir::ExprId> first;
};

/// REQUIRES: a nest whose axes are chosen. All buffers together take at most 256 KiB.
RowReuse find_row_reuse(LoopNest& nest);

}  // namespace tessera::codegen
