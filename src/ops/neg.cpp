// SPDX-License-Identifier: Apache-2.0
// Negation.
#include "ops/op_def.h"

namespace tessera::ops::records {

OpDef neg() {
  return {
      .name = "neg",
      .doc = "−x, elementwise.",
      .inputs = {{"x"}},
      .meaning = elementwise([](Expr x) { return -x; }),
      .traits = {Trait::involution, Trait::odd},
      .onnx = {{.op = "Neg"}},
      .samples = {sample({}), sample({0}), sample({3, 5})},
  };
}

}  // namespace tessera::ops::records
