// SPDX-License-Identifier: Apache-2.0
// The scalar primitives on plain numbers: the one place that says what each of them computes.
// Floats are doubles here; rounding to a narrower type is the caller's (scalar.h, Semantics).
#pragma once

#include <cstdint>

#include "ir/scalar.h"

namespace tessera::ir {

/// A float as `real`, an integer or bool as `integer` (wrapped to its type).
struct Scalar {
  double real = 0;
  int64_t integer = 0;
  static Scalar of(double v) { return {v, 0}; }
  static Scalar of_integer(int64_t v) { return {0, v}; }
};

/// Applies a primitive other than `select`. `type` is the type of the operands; the result has
/// that type or, for gives_boolean(prim), bool. Shift counts take part modulo nothing: a count of
/// at least the width gives 0 (or −1 for an arithmetic shift of a negative number).
Scalar apply(Prim prim, DType type, Scalar a, Scalar b);

/// Conversion with the semantics of `cast`. Float results are rounded to `to`.
Scalar convert(Scalar value, DType from, DType to);

/// The reduction's identity in `type`.
Scalar identity(Reduction reduction, DType type);
/// The primitive that combines two partial results: add, mul, max, min (for bool: or, and).
Prim combiner(Reduction reduction);

}  // namespace tessera::ir
