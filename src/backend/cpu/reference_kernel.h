// SPDX-License-Identifier: Apache-2.0
// A meaning run by the reference evaluator: for what no generated kernel can do.
#pragma once

#include <memory>

#include "ir/meaning.h"
#include "runtime/kernel.h"

namespace tessera::backend::cpu {

/// It allocates its results while it runs.
std::shared_ptr<const runtime::Kernel> make_reference_kernel(ir::Meaning meaning);

}  // namespace tessera::backend::cpu
