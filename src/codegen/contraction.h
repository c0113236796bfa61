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
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ir/meaning.h"
#include "types/tensor.h"

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
  /// Products of numbers of 16 bits: an element of a, and of the packed b, is a pair of numbers
  /// that follow each other along the last axis of `reduce`, whose extent counts pairs, as all
  /// strides of a do. pack_b() still reads single f32 numbers. See pair_up().
  struct Pairs {
    /// bf16: sums are f32. i16: integers in units of a row's and of a column's own; sums are
    /// integers, and the last two operands are these units.
    enum class Kind : uint8_t { bf16, i16 };
    Kind kind = Kind::bf16;
    int64_t numbers = 0;   ///< along the axis; where that is odd the last pair's second number is 0
    int64_t b = 0;         ///< from the first number of a pair to the second, in f32
    int64_t parts = 1;     ///< into which the axis was cut: the axis before the last counts them
    bool chunked = false;  ///< sums of integers run along the last axis only, then become f32
  };
  std::optional<Pairs> pairs;
  /// The result is rounded to bf16 as it is stored (AVX512_BF16, 16 lanes).
  bool rounds = false;
  /// What is stored: a meaning of one scalar output, whose input 0 is the sum and whose input k + 1
  /// is operand k at the element's own place. Null: the sum.
  std::shared_ptr<const ir::Meaning> epilogue;

  /// Pairs that one sum of integers runs over.
  int64_t chunk() const { return pairs && pairs->chunked ? reduce.back().extent : reduction(); }
  bool has_units() const { return pairs && pairs->kind == Pairs::Kind::i16; }
  size_t operand_count() const {
    return (epilogue ? epilogue->inputs.size() - 1 : 0) + (has_units() ? 2 : 0);
  }
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
  /// Batches follow each other first: the groups of a convolution, which lie side by side in each
  /// pixel, so that pixels are read and written as a whole.
  bool batch_inner = false;
  bool prefetch = true;  ///< of the columns that come next, into the second-level cache
  /// If not 0, the tiles of so many panels of columns go down a strip of the image together: what
  /// lines share is then still in the first cache.
  int64_t strip_panels = 0;
  bool prefetch_lines = false;  ///< what the tile one line below sees first, into the first cache
  std::string to_string() const;
  bool operator==(const ContractionSchedule&) const = default;
};

/// Lanes of an f32 vector and vector registers of the processor at hand.
struct VectorUnit {
  int lanes = 8, registers = 16;
  bool has_bf16 = false;  ///< sums of products of pairs of bf16 numbers (AVX512_BF16)
  bool has_i16 = false;   ///< of pairs of integers (AVX512_VNNI)
  bool has_amx = false;   ///< of tiles of bf16 numbers (AMX_BF16), if the system permits them
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

/// What the rows of a tile share of a line of pixels when groups of channels are columns: an
/// element of a at that distance, and which rows see it by which tap.
struct LineElement {
  int64_t distance = 0;
  std::vector<std::pair<size_t, int64_t>> users;
};

/// The elements that some neighbouring rows see, in their order, for each such segment of rows; the
/// longest segment first. Segments take turns, because sums that follow each other closely wait for
/// each other. `rows` holds the distances of the rows, `tap` that between neighbouring taps;
/// seeing[t] tells which rows see tap t.
std::vector<std::vector<LineElement>> line_segments(const std::vector<int64_t>& rows, int64_t tap,
                                                    const std::vector<std::vector<bool>>& seeing);

/// Neighbouring axes that every operand walks like one become one; not those of rows if
/// `keep_rows`.
void join_axes(Contraction& c, bool keep_rows = false);

/// Groups of one, two, four or eight channels, that divide the lanes of a vector, become columns
/// (see Contraction::group): a vector then holds several groups.
void join_groups(Contraction& c, int lanes);

/// The rounding error of a running sum grows with its length, so sums of more products than this
/// are sums of shorter ones (blocked summation: N. Higham, Accuracy and Stability, 2002, 4.2).
inline constexpr int64_t longest_sum = 320;
/// The contraction with a longer last axis of its reduction in two, where a number divides it.
Contraction with_short_sums(Contraction c);

/// Whether a tile's sums of integers, and the totals to which they are added, fit the registers.
bool totals_fit(int64_t rows, int64_t vectors);

/// Pairs that one sum of integers runs over, at most (see pair_up()).
inline constexpr int64_t usual_pairs = 16, short_pairs = 8;

/// The contraction with its last reduction in pairs: a then lies as before, in numbers of 16 bits,
/// with a zero behind every odd row of that reduction. Nothing when a's elements along it are no
/// neighbours, when another stride of a is odd, or when b is not packed.
///
/// With i16 the operands get the units of a and of b at their end: those of b vary over columns and
/// over the batches over which b does (dense, see column_units()); those of a are one number for
/// all when `row` is 0, else one for each `row` elements of a.
/// Sums of integers are cut into some of `most_pairs` or a little fewer, where there are more than
/// twice as many and their number has such a divisor.
std::optional<Contraction> pair_up(Contraction c, Contraction::Pairs::Kind kind, int64_t row = 0,
                                   int64_t most_pairs = usual_pairs);

/// Sums of products of integers fit 32 bits when neither operand of a sum is longer (Euclidean
/// norm) than this in its units, rounding included.
inline constexpr double longest_i16 = 46000;
/// The unit in which `count` numbers of that length and largest magnitude become integers of 16
/// bits that are no longer than longest_i16; 0 when all count as zero, NaN when one is not finite.
float unit_of(double length, double largest, int64_t count);
/// Numbers that may lie on any byte, as those of a mapped file (Tensor::loose_data).
using LooseFloat __attribute__((aligned(1))) = float;
inline const LooseFloat* loose_floats(const Tensor& t) {
  return reinterpret_cast<const LooseFloat*>(t.loose_data());
}

/// Units of the columns of b, for each batch over which b varies. `b` as in pack_b().
std::vector<float> column_units(const Contraction& c, const LooseFloat* b);

/// Elements of b when it is packed, and b packed: for each batch that it varies over, panels of
/// columns; in each the reduction in its order; in each the columns, padded with zeros. `b` points
/// to the element of index 0 everywhere; `units` is null but for i16, where it is column_units().
int64_t packed_elements(const Contraction& c, const ContractionSchedule& s);
void pack_b(const Contraction& c, const ContractionSchedule& s, const LooseFloat* b, float* packed,
            const float* units = nullptr);

}  // namespace tessera::codegen
