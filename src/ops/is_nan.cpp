// SPDX-License-Identifier: Apache-2.0
// Test for NaN.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef is_nan() {
  return unary_record(
      {.name = "is_nan", .doc = "Whether x is NaN, elementwise.", .onnx_op = "IsNaN", .since = 9},
      [](Expr x) { return ir::is_nan(x); });
}

}  // namespace tessera::ops::records
