// SPDX-License-Identifier: Apache-2.0
// The evidence of `tessera optimize` as one HTML page that needs nothing else.
#pragma once

#include <string>

#include "api/optimize.h"

namespace tessera::report {

/// A whole page. `model` is the name of what was optimized; every text is escaped.
std::string optimize_page(const api::OptimizeReport& report, const std::string& model, int threads);

}  // namespace tessera::report
