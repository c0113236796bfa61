// SPDX-License-Identifier: Apache-2.0
// How many processors this process may use.
#pragma once

#include <optional>
#include <string>

namespace tessera {

/// The processors in the calling thread's affinity mask, fewer where a control group's quota (of
/// version 1 or 2, its own or an ancestor's) allows less time than they have; at least 1.
int usable_processors();

/// The whole processors that a quota amounts to, at least 1: "max 100000" or "250000 100000"
/// (cpu.max: microseconds in each period). Nothing without a limit and for malformed text.
std::optional<int> processors_of_quota(const std::string& text);

}  // namespace tessera
