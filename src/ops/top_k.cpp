// SPDX-License-Identifier: Apache-2.0
// The k largest or smallest elements along one axis.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<ir::ValueType> infer_top_k(const Opaque::Context& c) {
  ir::ValueType values = *c.inputs[0];
  const int axis = c.attrs.axis("axis", values.rank());
  const ir::Dims k = c.attrs.dims("k");
  TESSERA_USER_CHECK(k.size() == 1, "top_k: k must be one size, found {}", k.size());
  const auto spare = (values.shape[axis] - k[0]).constant();
  TESSERA_USER_CHECK(!spare || *spare >= 0, "top_k: k is {} of {}", k[0].to_string(),
                     values.shape[axis].to_string());
  values.shape[axis] = k[0];
  return {values, {DType::i64, values.shape}};
}

// Sorted by value; equal elements by index; a NaN counts as the largest number.
std::vector<Tensor> evaluate_top_k(const Opaque::Context& c) {
  const Tensor& x = *c.values[0];
  const int axis = c.attrs.axis("axis", x.rank());
  const bool largest = c.attrs.flag("largest"), real = is_float(x.type());
  const int64_t k = c.attrs.dims("k").at(0).constant().value_or(0), extent = x.shape()[axis];
  Shape shape = x.shape();
  shape[axis] = k;
  Tensor values(x.type(), shape), indices(DType::i64, shape);
  int64_t inner = 1;
  for (int a = axis + 1; a < x.rank(); ++a) inner *= x.shape()[a];
  const int64_t lines = extent == 0 ? 0 : x.size() / extent;
  std::vector<int64_t> order(static_cast<size_t>(extent));
  for (int64_t line = 0; line < lines; ++line) {
    const int64_t base = line / inner * extent * inner + line % inner;
    const auto above = [&](int64_t i, int64_t j) {  // element i is larger than element j
      if (!real) {
        const int64_t a = x.integer_at(base + i * inner), b = x.integer_at(base + j * inner);
        return x.type() == DType::u64 ? static_cast<uint64_t>(a) > static_cast<uint64_t>(b) : a > b;
      }
      const double a = x.float_at(base + i * inner), b = x.float_at(base + j * inner);
      return std::isnan(a) ? !std::isnan(b) : a > b;
    };
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t i, int64_t j) {
      if (largest ? above(i, j) : above(j, i)) return true;
      if (largest ? above(j, i) : above(i, j)) return false;
      return i < j;
    });
    const int64_t target = line / inner * k * inner + line % inner;
    for (int64_t n = 0; n < k; ++n) {
      const int64_t from = base + order[static_cast<size_t>(n)] * inner, to = target + n * inner;
      if (real) values.set_float(to, x.float_at(from));
      else values.set_integer(to, x.integer_at(from));
      indices.set_integer(to, order[static_cast<size_t>(n)]);
    }
  }
  return {values, indices};
}

std::vector<Val> import_top_k(OnnxImport& c) {
  const ir::Dims k = c.dims(1);
  if (k.size() != 1) c.fail("k must be one number");
  return c.builder().op_n(
      "top_k", {c.input(0)},
      {{"k", k}, {"axis", c.attr_int("axis", -1)}, {"largest", c.attr_int("largest", 1)}});
}

void export_top_k(OnnxExport& c) {
  c.result(c.emit("TopK", {c.input(0), c.dims(c.attr_dims("k"))},
                  {{"axis", *c.attr("axis")}, {"largest", *c.attr("largest")}}, 2));
}

}  // namespace

OpDef top_k() {
  return {
      .name = "top_k",
      .doc = "The k largest (or smallest) elements along `axis`, sorted, and their indices.",
      .inputs = {{"x"}},
      .attrs = {{.name = "k", .kind = ir::AttrKind::dims},
                {.name = "axis", .default_value = int64_t{-1}},
                {.name = "largest", .default_value = int64_t{1}}},
      .opaque = Opaque{.infer = infer_top_k, .evaluate = evaluate_top_k},
      .onnx = {{.op = "TopK", .since = 10, .import = import_top_k},
               {.op = "TopK", .since = 11, .import = import_top_k, .export_ = export_top_k}},
      .samples = {sample({3, 5}, DType::f32, {{"k", ir::Dims{2}}}),
                  sample({4, 3}, DType::i32,
                         {{"k", ir::Dims{3}}, {"axis", int64_t{0}}, {"largest", int64_t{0}}})},
  };
}

}  // namespace tessera::ops::records
