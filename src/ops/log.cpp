// SPDX-License-Identifier: Apache-2.0
// Natural logarithm.
#include "ops/op_def.h"

namespace tessera::ops::records {

OpDef log() {
  return {
      .name = "log",
      .doc = "ln x, elementwise; NaN below zero.",
      .inputs = {{"x"}},
      .meaning = elementwise([](Expr x) { return ir::log(x); }),
      .traits = {Trait::monotone},
      .onnx = {{.op = "Log"}},
      .samples = {sample({}), sample({0}), sample({3, 5})},
  };
}

}  // namespace tessera::ops::records
