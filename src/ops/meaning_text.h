// SPDX-License-Identifier: Apache-2.0
// Meanings as text, both ways. The inputs are x0, x1 …, output indices i0, i1 …, bound indices
// r1, r2 … (numbered from the innermost reduction outwards):
//
//   matmul(x0: f32[N, K], x1: f32[K, M]) -> f32[N, M]
//   out(i0, i1) = sum(r1 < K, x0(i0, r1) * x1(r1, i1))
//
// Literals are i64 or, with a point, f32; others carry their type: 3:i32, 0.5:f64. Sizes that are
// no plain name stand in size(…). `f32(e)` is a cast. Subexpressions that occur more than once are
// named: out(i0) = let t0 = exp(x0(i0)); t0 / (t0 + 1.0). Primitives but + - * / are written as
// calls. An input that is absent is `x2: none`. Conditions on sizes follow, one a line:
//   where N == M "inner dimensions differ"
#pragma once

#include <string>
#include <string_view>

#include "ir/meaning.h"

namespace tessera::ops {

/// The text of a meaning; `name` is the operator's, for people.
std::string print_meaning(const ir::Meaning& meaning, std::string_view name);

/// Reads such a text. The result computes the same values; expressions are rebuilt through the
/// pool, so they are the same nodes. Throws UserError "meaning:line:column: …".
ir::Meaning parse_meaning(std::string_view text);

/// "2*N + div(M, 4)"; names that are no identifiers, or look like x0, i0, r1, t0, in backticks.
std::string print_size(const sym::Expr& size);

}  // namespace tessera::ops
