// SPDX-License-Identifier: Apache-2.0
// Pieces of the rule language as text.
#pragma once

#include <string>

#include "ir/attribute.h"

namespace tessera::synth {

/// "[axis=1, sizes={2, 3}]", or nothing when there are no attributes.
std::string attributes_text(const ir::AttrMap& attrs);
/// One value as a term: 1, 0.5, {2, 3}, name.
std::string attribute_text(const ir::AttrValue& value);

}  // namespace tessera::synth
