// SPDX-License-Identifier: Apache-2.0
// ONNX's Resize and Upsample, whose parameters moved and multiplied over the operator sets.
#pragma once

#include <vector>

#include "ir/scalar.h"
#include "ops/onnx_form.h"

namespace tessera::ops {

/// Forms of Upsample-7 and -9 and of Resize-10 to -19, all mapping to the record `resize`.
std::vector<OnnxForm> resize_forms();

/// Weight of an element at distance d >= 0: the triangle, or Keys' cubic with parameter a.
inline ir::Expr interpolation_kernel(bool cubic, double a, ir::Expr d) {
  if (!cubic) return max(1.0 - d, 0);
  const ir::Expr near = ((a + 2) * d - (a + 3)) * d * d + 1;
  const ir::Expr far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return ir::select(d <= 1, near, ir::select(d < 2, far, literal_like(d, 0)));
}

}  // namespace tessera::ops
