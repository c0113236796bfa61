// SPDX-License-Identifier: Apache-2.0
// What commands do about a numeric --tolerance.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "api/precision.h"
#include "cli/command.h"

namespace tessera::cli {

/// Chooses precisions for the graph under a numeric --tolerance and puts them into the options;
/// nothing without one. Throws UserError for a target other than the CPU.
std::optional<api::PrecisionReport> reduce_precision(const ModelOptions& o, const ir::Graph& graph,
                                                     api::Options& options);

/// Two lines for people: how many kernels compute in what, and the error.
std::string describe(const api::PrecisionReport& report);
nlohmann::ordered_json precision_json(const api::PrecisionReport& report);

}  // namespace tessera::cli
