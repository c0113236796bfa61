// SPDX-License-Identifier: Apache-2.0
// Tile programs that are contractions: one variable, to which a nest of loops adds `dot` of two
// loads, and a store of an expression of it.
#pragma once

#include <optional>
#include <span>

#include "codegen/contraction.h"
#include "codegen/target.h"
#include "tile/program.h"

namespace tessera::codegen {

struct TileContraction {
  Contraction contraction;
  uint32_t a = 0, b = 0;           ///< parameters of the program
  std::vector<uint32_t> operands;  ///< and those that the operands of the epilogue are
  /// Axes of the program: of the columns, and the innermost of the rows; or tile::none.
  tile::AxisId column = tile::none, row = tile::none;
};

/// What a sum of products may look like: also a single product, stored where it is computed (what a
/// sum over one element becomes).
enum class Products : uint8_t { sums, sums_and_single };

/// The program as a contraction over memory: views[k] is where parameter k lies. `constant` is a
/// parameter that is known when code is made, and so may be packed (or tile::none): it is b if the
/// program allows that. Nothing when the program has another form, or an index is no sum of axes
/// (quotients by a divisor of the extent are understood: groups). REQUIRES: known sizes.
std::optional<TileContraction> contraction_of(const tile::Program& program,
                                              std::span<const View> views, uint32_t constant,
                                              Products products = Products::sums);

}  // namespace tessera::codegen
