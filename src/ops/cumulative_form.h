// SPDX-License-Identifier: Apache-2.0
// What cumulative sums and products share: reductions with a triangular extent.
#pragma once

#include <string>

#include "ops/op_def.h"

namespace tessera::ops {

/// Element i along `axis` combines the elements up to i (before i when `exclusive`; from the end
/// when `reverse`).
OpDef cumulative_record(std::string name, std::string doc, std::string onnx_op, int since,
                        ir::Reduction reduction);

}  // namespace tessera::ops
