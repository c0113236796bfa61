// SPDX-License-Identifier: Apache-2.0
// Scalar primitives over the field: what the fingerprint of a graph is computed with.
//
// Polynomials and quotients are exact. Where the reals have more than a field, the model only ever
// forgets facts, so unequal functions are never identified by construction:
//  * order: a number that is `whole` is a true integer of less than 59 bits, and compares as one.
//    Any other number has a random sign, a consistent function of its residue with
//    sign(−x) = −sign(x). Of all sign assignments the true one is one, so an identity that holds
//    for random ones holds.
//  * exp of a whole number is g^x for a random g (so exp(a + b) = exp(a)·exp(b)), of any other a
//    consistent random function with exp(−x) = 1/exp(x); expm1, log1p and tanh are defined by it.
//  * sqrt of a positive number is multiplicative; sin, erf … are random functions that keep
//    oddness or evenness; floor, round … and sqrt of what is not positive are random functions.
#pragma once

#include "ir/scalar.h"
#include "synth/field.h"

namespace tessera::synth {

struct Number {
  uint64_t residue = 0;
  bool whole = true;
};

/// What whole numbers stay below in magnitude.
inline constexpr double whole_limit = 5.7e17;  // 2^59

Number number_of(int64_t value);
/// The exact dyadic rational. REQUIRES: finite.
Number number_of(double value);

/// True if the primitive works on booleans and reals in this model (bit operations do not).
bool has_number_form(ir::Prim prim);
/// `seed` tells one model (its g, its random functions) from another.
Number apply_number(ir::Prim prim, Number a, Number b, uint64_t seed);

}  // namespace tessera::synth
