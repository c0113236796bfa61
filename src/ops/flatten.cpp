// SPDX-License-Identifier: Apache-2.0
// Flattening to a matrix.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_flatten(Decomposition& d) {
  const Val x = d.in(0);
  const int64_t stated = d.integer("axis");
  // The axis may equal the rank: everything goes to the rows.
  const int axis = stated == x.rank()
                       ? x.rank()
                       : normalize_axis(stated, std::max(1, x.rank()), "flatten: axis");
  const ir::Dims shape = x.shape();
  return {reshape(x, {sym::product({shape.begin(), shape.begin() + axis}),
                      sym::product({shape.begin() + axis, shape.end()})})};
}

}  // namespace

OpDef flatten() {
  return {
      .name = "flatten",
      .doc = "x as a matrix: the axes before `axis` become rows, the others columns.",
      .inputs = {{"x"}},
      .attrs = {{.name = "axis", .default_value = int64_t{1}}},
      .decompose = decompose_flatten,
      .onnx = {{.op = "Flatten"}},
      .samples = {sample({2, 3, 4}), sample({2, 3, 4}, DType::i64, {{"axis", int64_t{-1}}}),
                  sample({2, 3}, DType::f32, {{"axis", int64_t{2}}}),
                  sample({2, 0}, DType::f32, {{"axis", int64_t{0}}})},
  };
}

}  // namespace tessera::ops::records
