// SPDX-License-Identifier: Apache-2.0
// Operators that no expression describes, run by the reference of their record.
#pragma once

#include "plan/draft.h"
#include "runtime/kernel.h"

namespace tessera::plan {

/// Runs the record's own evaluation on the declared types. It allocates its results.
std::shared_ptr<const runtime::Kernel> make_opaque_kernel(const Draft& draft, const Step& step);

}  // namespace tessera::plan
