// SPDX-License-Identifier: Apache-2.0
// Sums of products over affine places: matrix products and convolutions as one loop nest, and the
// schedule by which it becomes a register-blocked kernel.
//
//   dst[batch, rows, column] = epilogue(Σ over reduce of a[batch, rows, reduce] ·
//                                                        b[batch, reduce, column])
//
// A kernel's task is one tile: some rows times some vectors of columns, whose sums stay in
// registers over the whole reduction and pass through the epilogue before they are stored. The rows
// of a tile lie at constant distances from its first row, so one generator serves products (one
// stride) and convolutions (a stride along a line of pixels, another to the next line).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ir/meaning.h"

namespace tessera::codegen {

struct Contraction {
  /// Strides in elements, 0 where an operand does not vary along the axis.
  struct Axis {
    int64_t extent = 1;
    int64_t a = 0, b = 0, dst = 0;
    std::vector<int64_t> operands;  ///< of the epilogue's operands; shorter means 0
    int64_t operand(size_t k) const { return k < operands.size() ? operands[k] : 0; }
  };
  /// Products count only where row · stride + tap · dilation + offset lies in [0, extent): the taps
  /// of a padded convolution that see the image.
  struct Window {
    size_t row = 0, tap = 0;  ///< numbers of an axis of `rows` and of one of `reduce`
    int64_t stride = 1, dilation = 1, offset = 0, extent = 0;
    bool contains(int64_t at_row, int64_t at_tap) const {
      const int64_t at = at_row * stride + at_tap * dilation + offset;
      return at >= 0 && at < extent;
    }
  };

  std::vector<Axis> batch, rows, reduce;  ///< outermost first; `rows` and `reduce` not empty
  Axis column;                            ///< stride 1 in dst; 0 in a, or 1 (see group)
  /// Channels of a grouped convolution that see each other, or 0. Columns are then the channels of
  /// all groups: a lies along them too, column n takes part in the products of channels
  /// [⌊n / group⌋ · group, … + group), which the last axis of `reduce` counts (it is absent for 1).
  int64_t group = 0;
  std::vector<Window> windows;  ///< at most one for an axis of rows, and of reduce
  int64_t a_offset = 0;         ///< of the place of index 0 everywhere
  /// b is packed by pack_b(), else its columns are neighbours (stride 1).
  bool packed = true;
  /// What is stored: a meaning of one scalar output, whose input 0 is the sum and whose input k + 1
  /// is operand k at the element's own place. Null: the sum.
  std::shared_ptr<const ir::Meaning> epilogue;

  size_t operand_count() const { return epilogue ? epilogue->inputs.size() - 1 : 0; }
  int64_t reduction() const;  ///< products for each element
  int64_t row_count() const;  ///< of one batch
  int64_t batch_count() const;
  double flops() const;
};

/// How a contraction is computed; results differ by nothing (each sum runs in one order).
struct ContractionSchedule {
  int lanes = 16;
  int rows = 8;     ///< of a tile, at most
  int vectors = 3;  ///< columns of a tile, in vectors
  int unroll = 4;   ///< of the innermost reduction
  /// Tiles that share columns follow each other (weights are read once, activations often), or
  /// tiles that share rows.
  bool columns_outer = true;
  bool prefetch = true;  ///< of the columns that come next, into the second-level cache
  std::string to_string() const;
  bool operator==(const ContractionSchedule&) const = default;
};

/// Lanes of an f32 vector and vector registers of the processor at hand.
struct VectorUnit {
  int lanes = 8, registers = 16;
};

/// A schedule by the shape alone.
ContractionSchedule choose_schedule(const Contraction& c, VectorUnit unit);

/// How tiles cut the rows and columns of a contraction.
struct ContractionTiles {
  /// Places where tiles start along an axis, and how many of its indices each one takes.
  struct Chunk {
    int64_t first = 0, count = 1;
  };
  /// Tiles that share one function: their size and, for windows that are decided when the code is
  /// made, which rows see which tap.
  struct Class {
    Chunk outer, inner;  ///< of a representative
  };
  std::vector<Chunk> inner;  ///< of the last axis of rows
  std::vector<Chunk> outer;  ///< of the one before it (one chunk when there is none)
  std::vector<Class> classes;
  std::vector<int> class_of;  ///< by outer · inner.size() + inner
  bool fixed_outer = false;   ///< windows on the axis before the last are part of the class
  int64_t lines = 1;          ///< combinations of the axes before those two
  int64_t panels = 1, panel_width = 16, last_width = 16;  ///< in columns, padded to vectors
  int64_t tasks = 0;

  int64_t row_tiles() const { return lines * static_cast<int64_t>(outer.size() * inner.size()); }
};
ContractionTiles cut_tiles(const Contraction& c, const ContractionSchedule& s);

/// Neighbouring axes that every operand walks like one become one.
void join_axes(Contraction& c);

/// Groups of one, two or four channels, that divide the lanes of a vector, become columns (see
/// Contraction::group): a vector then holds several groups.
void join_groups(Contraction& c, int lanes);

/// Elements of b when it is packed, and b packed: for each batch that it varies over, panels of
/// columns; in each the reduction in its order; in each the columns, padded with zeros. `b` points
/// to the element of index 0 everywhere.
int64_t packed_elements(const Contraction& c, const ContractionSchedule& s);
void pack_b(const Contraction& c, const ContractionSchedule& s, const float* b, float* packed);

}  // namespace tessera::codegen
