// SPDX-License-Identifier: Apache-2.0
// Logistic function.
#include "ops/op_def.h"

namespace tessera::ops::records {

OpDef sigmoid() {
  return {
      .name = "sigmoid",
      .doc = "1 / (1 + e^−x), elementwise.",
      .inputs = {{"x"}},
      .meaning = elementwise([](Expr x) { return 1 / (1 + ir::exp(-x)); }),
      .traits = {Trait::monotone},
      .onnx = {{.op = "Sigmoid"}},
      .samples = {sample({}), sample({0}), sample({3, 5})},
  };
}

}  // namespace tessera::ops::records
