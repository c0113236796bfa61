// SPDX-License-Identifier: Apache-2.0
// Divisions and remainders in indices, which reshapes leave behind, made smaller.
#pragma once

#include "ir/meaning.h"

namespace tessera::codegen {

/// The same elements in the same order, where ⌊(g·a + r) / (g·d)⌋ with 0 <= r < g has become
/// ⌊a / d⌋, and the remainder g·(a mod d) + r: what varies fast leaves the division. An output axis
/// that is divided by a number of at least `smallest` becomes two axes, so that the division goes.
/// Sizes must be known. Indices with bound variables stay as they are.
ir::Meaning with_small_divisions(const ir::Meaning& meaning, int64_t smallest);

}  // namespace tessera::codegen
