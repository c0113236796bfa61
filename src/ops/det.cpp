// SPDX-License-Identifier: Apache-2.0
// Determinants.
#include <cmath>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<ir::ValueType> infer_det(const Opaque::Context& c) {
  ir::ValueType type = *c.inputs[0];
  TESSERA_USER_CHECK(is_float(type.dtype) && type.rank() >= 2,
                     "det: expected matrices of floats, found {}", type.to_string());
  TESSERA_USER_CHECK(type.shape.back() == type.shape[type.shape.size() - 2],
                     "det: the matrices of {} are not square", type.to_string());
  type.shape.resize(type.shape.size() - 2);
  return {type};
}

// Gaussian elimination with partial pivoting; destroys the matrix.
double determinant(std::vector<double>& a, int64_t n) {
  double result = 1;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t r = k + 1; r < n; ++r)
      if (std::fabs(a[r * n + k]) > std::fabs(a[pivot * n + k])) pivot = r;
    if (a[pivot * n + k] == 0) return 0;
    if (pivot != k) {
      std::swap_ranges(a.begin() + k * n, a.begin() + (k + 1) * n, a.begin() + pivot * n);
      result = -result;
    }
    result *= a[k * n + k];
    for (int64_t r = k + 1; r < n; ++r) {
      const double factor = a[r * n + k] / a[k * n + k];
      for (int64_t j = k; j < n; ++j) a[r * n + j] -= factor * a[k * n + j];
    }
  }
  return result;
}

std::vector<Tensor> evaluate_det(const Opaque::Context& c) {
  const Tensor& x = *c.values[0];
  const int64_t n = x.shape().back();
  Tensor result(x.type(), Shape(x.shape().begin(), x.shape().end() - 2));
  std::vector<double> matrix(static_cast<size_t>(n * n));
  for (int64_t m = 0; m < result.size(); ++m) {
    for (int64_t i = 0; i < n * n; ++i) matrix[i] = x.float_at(m * n * n + i);
    result.set_float(m, determinant(matrix, n));
  }
  return {result};
}

}  // namespace

/// Opaque: as an expression it is a sum over permutations.
OpDef det() {
  return {
      .name = "det",
      .doc = "The determinants of the square matrices in the last two axes.",
      .inputs = {{"x"}},
      .opaque = Opaque{.infer = infer_det, .evaluate = evaluate_det},
      .onnx = {{.op = "Det", .since = 11}},
      .samples = {sample({3, 3}), sample({2, 4, 4}), sample({0, 2, 2})},
  };
}

}  // namespace tessera::ops::records
