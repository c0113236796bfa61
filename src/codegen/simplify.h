// SPDX-License-Identifier: Apache-2.0
// Divisions and remainders in indices, which reshapes leave behind, made smaller.
#pragma once

#include "ir/meaning.h"

namespace tessera::codegen {

/// The same function, where ⌊(g·a + r) / (g·d)⌋ with 0 <= r < g has become ⌊a / d⌋, and the
/// remainder g·(a mod d) + r: what varies fast leaves the division. Sizes must be known. Indices
/// with bound variables stay as they are.
ir::Meaning with_small_divisions(const ir::Meaning& meaning);

}  // namespace tessera::codegen
