// SPDX-License-Identifier: Apache-2.0
// Division with broadcasting.
#include "ops/op_def.h"

namespace tessera::ops::records {

OpDef div() {
  return {
      .name = "div",
      .doc = "x / y, elementwise under NumPy broadcasting; integers truncate toward zero.",
      .inputs = {{"x"}, {"y"}},
      .meaning = elementwise([](Expr x, Expr y) { return x / y; }),
      .traits = {},
      .onnx = {{.op = "Div", .since = 7}},
      .samples = {sample({{3, 5}, {3, 5}}), sample({{3, 1}, {5}}), sample({{0, 4}, {1, 4}}),
                  sample({{7}, {7}}, {}, DType::i32)},
  };
}

}  // namespace tessera::ops::records
