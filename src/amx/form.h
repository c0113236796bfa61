// SPDX-License-Identifier: Apache-2.0
// Contractions of bf16 numbers on the tile registers of AMX, each of which holds up to 16 rows of
// 64 bytes. One instruction adds to 16 × 16 sums in f32 the products of 16 rows of up to 32 numbers
// with as many numbers of 16 columns.
//
// A task is a block of two tiles of rows by two of columns, whose four sums stay in tile registers
// over the whole reduction. They leave them by way of a scratch block of 4 KB, row by row through
// the epilogue. The rows of a tile lie at one distance from each other. What a tile holds of a row
// has one length, so rows of a are padded with zeros to a multiple of it, and images with pixels of
// zeros instead of windows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "codegen/contraction.h"

namespace tessera::amx {

using codegen::Contraction;
using codegen::LooseFloat;

/// How a contraction is cut into tiles.
struct Form {
  Contraction c;       ///< strides of a in numbers of 16 bits; no windows
  int64_t row = 0;     ///< numbers from one tap of a run to the next, of which the last are zeros
  int64_t taps = 1;    ///< of the second last axis of `reduce`, whose numbers are one run of a
  int64_t steps = 1;   ///< of a run: so many tiles
  int64_t pairs = 1;   ///< of numbers, that a tile holds of a row
  int64_t height = 1;  ///< rows of a tile, at most 16
  int64_t pitch = 0;   ///< the last two axes of rows are one of lines of so many rows; or 0
  bool by_panels = true;  ///< tasks that share columns follow each other

  static constexpr int64_t most_rows = 16, most_pairs = 16, panel_width = 32;
  /// Axes of `reduce` before those that are a run.
  size_t outer_axes() const { return c.reduce.size() - (taps > 1 ? 2 : 1); }
  int64_t pair_count() const;  ///< pairs for each sum, zeros included
  int64_t line_rows() const;   ///< that tiles cut: with a pitch, those between lines included
  int64_t line_tiles() const { return (line_rows() + height - 1) / height; }
  int64_t row_tiles() const;  ///< of one batch
  int64_t blocks() const { return (row_tiles() + 1) / 2; }
  int64_t panels() const { return (c.column.extent + panel_width - 1) / panel_width; }
  int64_t last_width() const;     ///< of the last panel, 16 or 32
  int64_t matrix_floats() const;  ///< of one packed matrix of b
  int64_t tasks() const { return c.batch_count() * panels() * blocks(); }
  /// Numbers behind the last one of a that tiles read, and whose products are dropped.
  int64_t slack() const;
  std::string to_string() const;
};

/// The length of a row of `numbers` numbers, zeros behind them included, for which a run of `taps`
/// rows takes the fewest tiles; even.
int64_t padded_row(int64_t numbers, int64_t taps);

/// The form of a contraction of single numbers whose rows of a hold `numbers` numbers, then zeros
/// up to `row`; what lies outside of the windows of `c` is zero in a. Nothing where a's elements
/// along the last axis of the reduction are no neighbours, or odd in number, or b is not packed.
std::optional<Form> form_of(Contraction c, int64_t numbers, int64_t row);

/// Elements of b when it is packed, and b packed: for each batch that it varies over, panels of
/// columns; in each the reduction in its order, two numbers a lane; in each the columns, padded
/// with zeros. `b` points to the element of index 0 everywhere.
int64_t packed_elements(const Form& form);
void pack_b(const Form& form, const LooseFloat* b, float* packed);

}  // namespace tessera::amx
