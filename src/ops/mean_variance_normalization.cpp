// SPDX-License-Identifier: Apache-2.0
// Normalization to mean 0 and variance 1 over given axes.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// The addend keeps a constant x finite; it is that of ONNX's function body.
std::vector<Val> decompose_mean_variance_normalization(Decomposition& d) {
  const Val x = d.in(0);
  const auto axes = d.integers("axes");
  const Val centred = x - reduce("reduce_mean", x, axes);
  return {centred / (sqrt(reduce("reduce_mean", centred * centred, axes)) + 1e-9)};
}

}  // namespace

OpDef mean_variance_normalization() {
  return {
      .name = "mean_variance_normalization",
      .doc = "(x − mean) / (deviation + 1e-9) over `axes`.",
      .inputs = {{"x"}},
      .attrs = {{.name = "axes",
                 .kind = ir::AttrKind::integers,
                 .default_value = std::vector<int64_t>{0, 2, 3}}},
      .decompose = decompose_mean_variance_normalization,
      .onnx = {{.op = "MeanVarianceNormalization", .since = 9}},
      .samples = {sample({2, 3, 4, 3})},
  };
}

}  // namespace tessera::ops::records
