// SPDX-License-Identifier: Apache-2.0
// Square.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef square() {
  return unary_record({.name = "square",
                       .doc = "x², elementwise; integers wrap. ONNX says x · x.",
                       .domain = Domain::numbers,
                       .traits = {Trait::even}},
                      [](Expr x) { return x * x; });
}

}  // namespace tessera::ops::records
