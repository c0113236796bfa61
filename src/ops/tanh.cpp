// SPDX-License-Identifier: Apache-2.0
// Hyperbolic tangent.
#include "ops/op_def.h"

namespace tessera::ops::records {

OpDef tanh() {
  return {
      .name = "tanh",
      .doc = "tanh x, elementwise.",
      .inputs = {{"x"}},
      .meaning = elementwise([](Expr x) { return ir::tanh(x); }),
      .traits = {Trait::monotone, Trait::odd},
      .onnx = {{.op = "Tanh"}},
      .samples = {sample({}), sample({0}), sample({3, 5})},
  };
}

}  // namespace tessera::ops::records
