// SPDX-License-Identifier: Apache-2.0
// Exponential.
#include "ops/op_def.h"

namespace tessera::ops::records {

/// e^x, elementwise.
OpDef exp() {
  return {
      .name = "exp",
      .doc = "e^x, elementwise.",
      .inputs = {{"x"}},
      .meaning = elementwise([](Expr x) { return ir::exp(x); }),
      .traits = {Trait::monotone},
      .onnx = {{.op = "Exp"}},
      .samples = {sample({}), sample({0}), sample({3, 5})},
  };
}

}  // namespace tessera::ops::records
