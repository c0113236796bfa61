// SPDX-License-Identifier: Apache-2.0
// Strides of dense tensors.
#include "codegen/target.h"

#include <algorithm>

namespace tessera::codegen {

std::vector<int64_t> dense_strides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    strides[axis] = stride;
    stride *= std::max<int64_t>(shape[axis], 1);
  }
  return strides;
}

std::vector<int64_t> dense_strides(const Shape& shape, const std::vector<int>& order) {
  if (order.empty()) return dense_strides(shape);
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t k = order.size(); k-- > 0;) {
    strides[order[k]] = stride;
    stride *= std::max<int64_t>(shape[order[k]], 1);
  }
  return strides;
}

std::string_view to_string(Precision precision) {
  switch (precision) {
    case Precision::f32: return "f32";
    case Precision::bf16: return "bf16";
    case Precision::bf16_amx: return "bf16-amx";
    case Precision::i16: return "i16";
    case Precision::i16_short: return "i16-short";
  }
  return "";
}

std::optional<Precision> precision_from_string(std::string_view name) {
  if (name == to_string(Precision::f32)) return Precision::f32;
  for (const Precision precision : reduced_precisions)
    if (name == to_string(precision)) return precision;
  return std::nullopt;
}

bool is_rounded(const LibraryRequest& r) {
  return (r.op == "matmul" || r.op == "conv") &&
         (r.dst.dtype == DType::bf16 || r.src[0].dtype == DType::bf16);
}

}  // namespace tessera::codegen
