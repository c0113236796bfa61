// SPDX-License-Identifier: Apache-2.0
// What became of the user's kernels, for people and as JSON.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

#include "api/engine.h"

namespace tessera::cli {

/// A table; empty when there are no kernels.
std::string show_kernels(const std::vector<api::KernelChoice>& kernels);
nlohmann::ordered_json kernels_json(const std::vector<api::KernelChoice>& kernels);

}  // namespace tessera::cli
