// SPDX-License-Identifier: Apache-2.0
// Comparison of tensors in tests.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "types/tensor.h"

namespace tessera {

/// The first element that differs, of floats by more than `allowed` of max(1, |expected|); a NaN
/// equals a NaN. Empty if none does.
inline std::string difference(const Tensor& expected, const Tensor& found, double allowed) {
  if (expected.shape() != found.shape()) return "another shape";
  for (int64_t k = 0; k < expected.size(); ++k) {
    if (!is_float(found.type())) {
      if (expected.integer_at(k) != found.integer_at(k))
        return fmt::format("element {}: {}, expected {}", k, found.integer_at(k),
                           expected.integer_at(k));
      continue;
    }
    const double e = expected.float_at(k), f = found.float_at(k);
    if ((std::isnan(e) && std::isnan(f)) || e == f) continue;
    if (!(std::fabs(e - f) <= allowed * std::max(1.0, std::fabs(e))))
      return fmt::format("element {}: {}, expected {}", k, f, e);
  }
  return {};
}

}  // namespace tessera
