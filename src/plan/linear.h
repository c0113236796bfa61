// SPDX-License-Identifier: Apache-2.0
// Index expressions as exact linear forms. An index variable is cut into digits (its value divided
// by one number modulo another) where a division or remainder asks for it, so that what reshapes do
// to indices is understood, and recognized when it amounts to plain strides.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "ir/scalar.h"
#include "types/tensor.h"

namespace tessera::plan {

/// floor(variable / divisor) mod count, with values in [0, count).
struct Digit {
  ir::ExprId variable = 0;
  int64_t divisor = 1, count = 1;
  auto operator<=>(const Digit&) const = default;
};

/// constant + Σ coefficient · digit.
struct Linear {
  int64_t constant = 0;
  std::map<Digit, int64_t> terms;
};

/// Extents of the variables of a pool: of output variables by axis, of free ones by number.
struct Extents {
  Shape output;
  std::unordered_map<uint32_t, int64_t> free;
  std::optional<int64_t> of(const ir::Var& var) const;
};

/// The form of an index expression; nothing when it holds a read, a select, a size, or arithmetic
/// that the digits do not resolve.
std::optional<Linear> linear_form(ir::Expr index, const Extents& extents);

Linear operator+(const Linear& a, const Linear& b);
Linear operator*(const Linear& a, int64_t factor);

/// offset + Σ stride · variable.
struct Strided {
  int64_t offset = 0;
  std::map<ir::ExprId, int64_t> strides;
};

/// The form over whole variables, when the digits of each fit together.
std::optional<Strided> strided(const Linear& form, const ir::ExprPool& pool,
                               const Extents& extents);

}  // namespace tessera::plan
