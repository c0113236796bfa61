// SPDX-License-Identifier: Apache-2.0
// The CPU as a target: generated loops, and oneDNN for convolutions and matrix products.
#pragma once

#include <memory>

#include "codegen/target.h"

namespace tessera::backend::cpu {

std::unique_ptr<codegen::Target> make_target();

}  // namespace tessera::backend::cpu
