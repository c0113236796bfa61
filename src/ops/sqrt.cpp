// SPDX-License-Identifier: Apache-2.0
// Square root.
#include "ops/op_def.h"

namespace tessera::ops::records {

OpDef sqrt() {
  return {
      .name = "sqrt",
      .doc = "√x, elementwise; NaN below zero.",
      .inputs = {{"x"}},
      .meaning = elementwise([](Expr x) { return ir::sqrt(x); }),
      .traits = {Trait::monotone},
      .onnx = {{.op = "Sqrt"}},
      .samples = {sample({}), sample({0}), sample({3, 5})},
  };
}

}  // namespace tessera::ops::records
