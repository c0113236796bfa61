// SPDX-License-Identifier: Apache-2.0
// Algebraic facts that follow from a meaning.
#pragma once

#include <cstdint>

#include "ir/meaning.h"

namespace tessera::ops {

/// True if every output is linear (homogeneous of degree one) in input `k` over the reals, or over
/// the integers modulo 2^n: f(a·x + b·y) = a·f(x) + b·f(y) with the other inputs held. Sound, not
/// complete: expressions that cancel are not seen.
bool linear_in(const ir::Meaning& meaning, uint32_t k);

/// True if every output moves elements only: each element of the result is one element of an input
/// or a constant, chosen by indices alone. Such operators are exact in every type.
bool moves_only(const ir::Meaning& meaning);

}  // namespace tessera::ops
