// SPDX-License-Identifier: Apache-2.0
// The CPU as the options want it.
#pragma once

#include <memory>

#include "api/options.h"
#include "codegen/target.h"

namespace tessera::api {

/// Defined in backends.cpp.
std::unique_ptr<codegen::Target> make_cpu_target(const Options& options);

}  // namespace tessera::api
