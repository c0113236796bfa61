// SPDX-License-Identifier: Apache-2.0
// The identity.
#include "ops/op_def.h"

namespace tessera::ops::records {

OpDef identity() {
  return {
      .name = "identity",
      .doc = "x.",
      .inputs = {{"x"}},
      .meaning = elementwise([](Expr x) { return x; }),
      .traits = {Trait::idempotent, Trait::involution, Trait::monotone},
      .onnx = {{.op = "Identity"}},
      .samples = {sample({}), sample({3, 5})},
  };
}

}  // namespace tessera::ops::records
