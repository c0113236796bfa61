// SPDX-License-Identifier: Apache-2.0
// One tile of a contraction as an LLVM function.
#pragma once

#include <string>

#include "codegen/contraction.h"

namespace llvm {
class Function;
class IRBuilderBase;
class Module;
class Value;
}  // namespace llvm

namespace tessera::codegen {

/// What distinguishes the functions of one contraction.
struct TileShape {
  ContractionTiles::Chunk outer, inner;  ///< indices of the last two axes of rows
  bool fixed_outer = false;
  int vectors = 1;
  int last_lanes = 16;    ///< of the last vector, that exist
  int64_t row_tiles = 1;  ///< that share a panel: each prefetches its part of the next one
};

/// True if the window is decided when the code of a tile is made, by the tile's place; otherwise
/// the tile is told the first tap and the one behind the last.
bool is_fixed(const Contraction& c, const Contraction::Window& w, bool fixed_outer);

/// Floats of the next panel that one tile prefetches.
int64_t prefetch_share(const Contraction& c, const ContractionSchedule& s, int64_t row_tiles);

/// x · y + sum of vectors of f32, or the sum of both products of pairs; sums of integers are bits
/// in such a vector.
llvm::Value* emit_multiply_add(llvm::IRBuilderBase& b, std::optional<Contraction::Pairs::Kind> kind,
                               llvm::Value* x, llvm::Value* y, llvm::Value* sum);

/// A function void(a, b, dst, prefetch, operands…, limits of taps…) on pointers to the tile's first
/// elements.
llvm::Function* emit_contraction_tile(const Contraction& c, const ContractionSchedule& s,
                                      const TileShape& shape, llvm::IRBuilderBase& b,
                                      llvm::Module& module, const std::string& name);

}  // namespace tessera::codegen
