// SPDX-License-Identifier: Apache-2.0
// Positions of the elements that are not zero.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

bool is_nonzero(const Tensor& x, int64_t i) {
  return is_float(x.type()) ? x.float_at(i) != 0 : x.integer_at(i) != 0;
}

std::vector<ir::ValueType> infer_nonzero(const Opaque::Context& c) {
  const int64_t count = c.attrs.integer("count");
  TESSERA_USER_CHECK(count >= 0, "nonzero: count = {}", count);
  return {{DType::i64, {c.inputs[0]->rank(), count}}};
}

std::vector<Tensor> evaluate_nonzero(const Opaque::Context& c) {
  const Tensor& x = *c.values[0];
  const int64_t count = c.attrs.integer("count");
  Tensor result(DType::i64, {x.rank(), count});
  int64_t found = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    if (!is_nonzero(x, i)) continue;
    int64_t rest = i;
    for (int axis = x.rank(); axis-- > 0 && found < count;) {
      result.set_integer(axis * count + found, rest % x.shape()[axis]);
      rest /= x.shape()[axis];
    }
    ++found;
  }
  TESSERA_USER_CHECK(found == count, "nonzero: {} elements are not zero, expected {}", found,
                     count);
  return {result};
}

// ONNX gives a scalar one row, too, as NumPy did for at-least-1-d arrays.
std::vector<Val> import_nonzero(OnnxImport& c) {
  Val x = c.input(0);
  const Tensor value = c.value(0);
  if (x.rank() == 0) x = reshape(x, {1});
  int64_t count = 0;
  for (int64_t i = 0; i < value.size(); ++i) count += is_nonzero(value, i) ? 1 : 0;
  return {c.op("nonzero", {x}, {{"count", count}})};
}

}  // namespace

/// Opaque because the shape depends on the data; `count` fixes it, and evaluation refuses data with
/// another number of elements that are not zero.
OpDef nonzero() {
  return {
      .name = "nonzero",
      .doc = "The row-major positions of the `count` elements that are not zero, one row per axis.",
      .inputs = {{"x"}},
      .attrs = {{.name = "count"}},
      .opaque = Opaque{.infer = infer_nonzero, .evaluate = evaluate_nonzero},
      .onnx = {{.op = "NonZero",
                .since = 9,
                .import = import_nonzero,
                .export_ = [](OnnxExport& c) { c.result(c.emit("NonZero", {c.input(0)})); }}},
      .samples = {sample({2, 3}, DType::f32, {{"count", int64_t{6}}}),
                  sample({0, 3}, DType::i64, {{"count", int64_t{0}}})},
  };
}

}  // namespace tessera::ops::records
