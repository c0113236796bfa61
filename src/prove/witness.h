// SPDX-License-Identifier: Apache-2.0
// Whether bound variables have values that guards allow.
#pragma once

#include <string>
#include <vector>

#include "prove/facts.h"

namespace tessera::prove {

/// True only if, wherever the facts hold, some values of `variables` satisfy all `guards`: bounds
/// that the guards state and small numbers are tried, each for all places at once.
bool has_witness(const std::vector<std::string>& variables, const std::vector<Guard>& guards,
                 const Facts& facts);

}  // namespace tessera::prove
