// SPDX-License-Identifier: Apache-2.0
// Division by the norm along one axis.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// A norm of 0 gives 0, not NaN.
std::vector<Val> decompose_lp_normalization(Decomposition& d) {
  const Val x = d.in(0);
  const int64_t p = d.integer("p"), axis = d.axis("axis", x.rank());
  d.check(p == 1 || p == 2, "p must be 1 or 2, found {}", p);
  const Val norm = reduce(p == 1 ? "reduce_l1" : "reduce_l2", x, {axis});
  const Val zero = d.scalar(0, x.dtype());
  return {where(d.op("equal", {norm, zero}), zero, x / norm)};
}

}  // namespace

OpDef lp_normalization() {
  return {
      .name = "lp_normalization",
      .doc = "x divided by its L1 or L2 norm along `axis`.",
      .inputs = {{"x"}},
      .attrs = {{.name = "p", .default_value = int64_t{2}},
                {.name = "axis", .default_value = int64_t{-1}}},
      .decompose = decompose_lp_normalization,
      .onnx = {{.op = "LpNormalization"}},
      .samples = {sample({3, 5}), sample({3, 5}, DType::f32, {{"p", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
