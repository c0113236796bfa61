// SPDX-License-Identifier: Apache-2.0
// The search for conditions under which an equality holds that fails without them.
#pragma once

#include "prove/problem.h"

namespace tessera::prove {

/// A condition on sizes, as a replacement that makes it true.
struct SizeCondition {
  std::string text;  ///< "m = n", "m = 1", "m mod n = 0"
  Substitution by;
};

/// Sets of at most two conditions on the left side's sizes, each enough for a proof and none
/// implied by an earlier one; weaker candidates are tried first, and candidates die by evaluation
/// before a proof is tried. {{}} if no condition is needed, empty if none of the candidates helps.
std::vector<std::vector<SizeCondition>> weakest_conditions(const ir::Graph& left,
                                                           const ir::Graph& right,
                                                           const ProveOptions& options = {});

}  // namespace tessera::prove
