// SPDX-License-Identifier: Apache-2.0
// Natural logarithm.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef log() {
  return unary_record({.name = "log",
                       .doc = "The natural logarithm; NaN below 0, −∞ at 0, elementwise.",
                       .onnx_op = "Log",
                       .traits = {Trait::monotone}},
                      [](Expr x) { return ir::log(x); });
}

}  // namespace tessera::ops::records
