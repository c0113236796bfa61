// SPDX-License-Identifier: Apache-2.0
// The identity of the program that runs.
#pragma once

#include <string>

namespace tessera {

/// The linker's hash of the executable or library that holds this function, in hexadecimal digits:
/// another one for every change of its code. Empty where the linker writes none.
const std::string& build_id();

}  // namespace tessera
