// SPDX-License-Identifier: Apache-2.0
// Attributes of nodes: named constants that take part in an operator's meaning.
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/hash.h"
#include "sym/expr.h"
#include "types/tensor.h"

namespace tessera::ir {

/// Dimensions, possibly symbolic (shapes of reshape, expand, slice bounds …).
using Dims = std::vector<sym::Expr>;

/// int · float · string · ints · floats · strings · dtype · dims · tensor.
using AttrValue = std::variant<int64_t, double, std::string, std::vector<int64_t>,
                               std::vector<double>, std::vector<std::string>, DType, Dims, Tensor>;

/// Ordered by name, so that printing and hashing are canonical.
using AttrMap = std::map<std::string, AttrValue, std::less<>>;

enum class AttrKind : uint8_t {
  integer,
  real,
  string,
  integers,
  reals,
  strings,
  dtype,
  dims,
  tensor
};

inline AttrKind kind_of(const AttrValue& value) { return static_cast<AttrKind>(value.index()); }
std::string_view to_string(AttrKind kind);

bool operator_equal(const AttrValue& a, const AttrValue& b);  ///< tensors compare by bytes
void add_to_hash(Hasher& hasher, const AttrValue& value);
/// Looks at samples of a large tensor only: equal values add the same, different ones may too. For
/// keys of what is compared afterwards.
void add_to_quick_hash(Hasher& hasher, const AttrValue& value);

}  // namespace tessera::ir
