// SPDX-License-Identifier: Apache-2.0
// Subtraction with broadcasting.
#include "ops/op_def.h"

namespace tessera::ops::records {

OpDef sub() {
  return {
      .name = "sub",
      .doc = "x − y, elementwise under NumPy broadcasting.",
      .inputs = {{"x"}, {"y"}},
      .meaning = elementwise([](Expr x, Expr y) { return x - y; }),
      .traits = {},
      .onnx = {{.op = "Sub", .since = 7}},
      .samples = {sample({{3, 5}, {3, 5}}), sample({{3, 1}, {5}}), sample({{0, 4}, {1, 4}}),
                  sample({{7}, {7}}, {}, DType::i32)},
  };
}

}  // namespace tessera::ops::records
