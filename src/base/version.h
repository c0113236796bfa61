// SPDX-License-Identifier: Apache-2.0
// Which Tessera this is.
#pragma once

#include <string_view>

namespace tessera {

/// The version, "MAJOR.MINOR.PATCH". It names the producer in exported models and in `--version`.
std::string_view version();

}  // namespace tessera
