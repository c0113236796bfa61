// SPDX-License-Identifier: Apache-2.0
// Multiplication with broadcasting.
#include "ops/op_def.h"

namespace tessera::ops::records {

OpDef mul() {
  return {
      .name = "mul",
      .doc = "x · y, elementwise under NumPy broadcasting.",
      .inputs = {{"x"}, {"y"}},
      .meaning = elementwise([](Expr x, Expr y) { return x * y; }),
      .traits = {Trait::commutative, Trait::associative},
      .onnx = {{.op = "Mul", .since = 7}},
      .samples = {sample({{3, 5}, {3, 5}}), sample({{3, 1}, {5}}), sample({{0, 4}, {1, 4}}),
                  sample({{7}, {7}}, {}, DType::i32)},
  };
}

}  // namespace tessera::ops::records
