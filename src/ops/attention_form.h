// SPDX-License-Identifier: Apache-2.0
// What attention is made of: heads, masks, a cache, softmax.
#pragma once

#include <vector>

#include "ops/op_def.h"

namespace tessera::ops {

/// x·y for [batch, heads, rows, k] and [batch, own heads, k, columns]: each head of y serves a
/// group of heads of x, whose rows join.
Val attention_product(Val x, Val y);

/// The decomposition of the record `attention`.
std::vector<Val> decompose_attention(Decomposition& d);

}  // namespace tessera::ops
