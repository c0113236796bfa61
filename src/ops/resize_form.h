// SPDX-License-Identifier: Apache-2.0
// ONNX's Resize and Upsample, whose parameters moved and multiplied over the operator sets.
#pragma once

#include <vector>

#include "ops/onnx_form.h"

namespace tessera::ops {

/// Forms of Upsample-7 and -9 and of Resize-10 to -19, all mapping to the record `resize`.
std::vector<OnnxForm> resize_forms();

}  // namespace tessera::ops
