// SPDX-License-Identifier: Apache-2.0
// Questions about where a draft's values lie.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "plan/draft.h"
#include "plan/linear.h"

namespace tessera::plan {

/// Elements between neighbours along each axis.
std::vector<int64_t> strides_of(const Draft& draft, ValueId v);
/// [0, 2, 3, …, 1]: batch, spatial axes, channels.
std::vector<int> channels_last(size_t rank);
/// True if the value lies densely with its axes in the order (empty: row-major).
bool lies_in_order(const Draft& draft, ValueId v, const std::vector<int>& order);

/// The order for what a step of loops computes so that it walks a source (of the same rank, whose
/// axes lie in `order`) as that lies: `order` itself where the source is read at the output's own
/// indices, else the output's axes as the source's axes that they lead to. Empty: row-major.
std::vector<int> order_like_source(const Draft& draft, const Step& step, size_t source,
                                   const std::vector<int>& order);

/// The element at `indices` of a tensor with these strides, as a form over digits.
std::optional<Linear> linear_place(std::span<const ir::Expr> indices,
                                   const std::vector<int64_t>& strides, const Extents& extents);

}  // namespace tessera::plan
