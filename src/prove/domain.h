// SPDX-License-Identifier: Apache-2.0
// The values that an attribute can have, where they can be listed.
#pragma once

#include <vector>

#include "ops/op_def.h"
#include "rules/bindings.h"

namespace tessera::prove {

/// Every value of an attribute of a node whose first operand has the given rank: axes in both
/// spellings, lists of axes, permutations, flags, element types, named modes. What a record refuses
/// is listed too. Empty where values cannot be listed.
///
/// Lists of up to two axes are complete: every choice in every order and spelling. Longer ones are
/// ascending or descending, and all from the front or all from the back.
std::vector<rules::TermValue> finite_domain(const ops::OpDef& op, const ops::AttrDef& def,
                                            int rank);

/// A number that the meaning can keep as a symbol: groups, counts and the like.
bool is_counted(const ops::AttrDef& def);
/// Strides, dilations, pads and kernels.
bool is_window(const std::string& name);
bool is_list_of_sizes(const ops::AttrDef& def);
/// The sizes of the list may be 0.
bool counts_from_zero(const ops::AttrDef& def);

}  // namespace tessera::prove
