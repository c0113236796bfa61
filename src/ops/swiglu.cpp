// SPDX-License-Identifier: Apache-2.0
// The gated linear unit with Swish.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_swiglu(Decomposition& d) {
  const Val x = d.in(0);
  d.check(x.type() == d.in(1).type(), "operands of types {} and {}", x.type().to_string(),
          d.in(1).type().to_string());
  const double alpha = d.real("alpha");
  return {x * sigmoid(alpha == 1 ? x : x * alpha) * d.in(1)};
}

}  // namespace

OpDef swiglu() {
  return {
      .name = "swiglu",
      .doc = "x · sigmoid(alpha · x) · y (Shazeer, 2020).",
      .inputs = {{"x"}, {"y"}},
      .attrs = {{.name = "alpha", .kind = ir::AttrKind::real, .default_value = 1.0}},
      .decompose = decompose_swiglu,
      .onnx = {{.op = "SwiGLU", .since = 28}},
      .samples = {sample({{3, 5}, {3, 5}}), sample({{2, 3}, {2, 3}}, {{"alpha", 1.5}})},
  };
}

}  // namespace tessera::ops::records
