// SPDX-License-Identifier: Apache-2.0
// Distinct elements or slices.
#include <cmath>
#include <cstring>
#include <numeric>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// -1, 0 or 1; NaN sorts last and equals only itself in position.
int unique_compare_elements(const Tensor& x, int64_t a, int64_t b) {
  if (!is_float(x.type())) {
    const int64_t p = x.integer_at(a), q = x.integer_at(b);
    if (x.type() == DType::u64)
      return static_cast<uint64_t>(p) < static_cast<uint64_t>(q) ? -1 : p != q;
    return p < q ? -1 : p > q;
  }
  const double p = x.float_at(a), q = x.float_at(b);
  if (std::isnan(p) || std::isnan(q)) return std::isnan(p) - std::isnan(q);
  return p < q ? -1 : p > q;
}

struct Distinct {
  std::vector<int64_t> first;    ///< of each distinct slice, in the order of the result
  std::vector<int64_t> inverse;  ///< of each slice, its place in the result
  std::vector<int64_t> counts;
};

// Slices are [outer, extent, inner] at a position of the middle axis.
Distinct find_distinct(const Tensor& x, int64_t outer, int64_t extent, int64_t inner, bool sorted) {
  const auto compare = [&](int64_t a, int64_t b) {
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < inner; ++i)
        if (int c = unique_compare_elements(x, (o * extent + a) * inner + i,
                                            (o * extent + b) * inner + i))
          return c;
    return 0;
  };
  std::vector<int64_t> order(static_cast<size_t>(extent));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return compare(a, b) < 0; });
  std::vector<std::vector<int64_t>> groups;
  for (int64_t p : order) {
    if (groups.empty() || compare(groups.back()[0], p) != 0) groups.emplace_back();
    groups.back().push_back(p);
  }
  if (!sorted) std::sort(groups.begin(), groups.end());
  Distinct result;
  result.inverse.resize(static_cast<size_t>(extent));
  for (const auto& group : groups) {
    for (int64_t p : group) result.inverse[p] = static_cast<int64_t>(result.first.size());
    result.first.push_back(group[0]);
    result.counts.push_back(static_cast<int64_t>(group.size()));
  }
  return result;
}

Distinct distinct_along(const Tensor& x, int axis, bool sorted) {
  int64_t outer = 1, inner = 1;
  for (int a = 0; a < axis; ++a) outer *= x.shape()[a];
  for (int a = axis + 1; a < x.rank(); ++a) inner *= x.shape()[a];
  return find_distinct(x, outer, x.shape()[axis], inner, sorted);
}

std::vector<ir::ValueType> infer_unique(const Opaque::Context& c) {
  ir::ValueType type = *c.inputs[0];
  const int axis = c.attrs.axis("axis", type.rank());
  const int64_t count = c.attrs.integer("count");
  const sym::Expr extent = type.shape[axis];
  type.shape[axis] = count;
  return {type, {DType::i64, {count}}, {DType::i64, {extent}}, {DType::i64, {count}}};
}

std::vector<Tensor> evaluate_unique(const Opaque::Context& c) {
  const Tensor& x = *c.values[0];
  const int axis = c.attrs.axis("axis", x.rank());
  const Distinct d = distinct_along(x, axis, c.attrs.flag("sorted"));
  const auto count = static_cast<int64_t>(d.first.size());
  TESSERA_USER_CHECK(count == c.attrs.integer("count"), "unique: {} distinct slices, expected {}",
                     count, c.attrs.integer("count"));
  Shape shape = x.shape();
  shape[axis] = count;
  Tensor y(x.type(), shape);
  int64_t outer = 1;
  size_t slice = size_of(x.type());
  for (int a = 0; a < axis; ++a) outer *= x.shape()[a];
  for (int a = axis + 1; a < x.rank(); ++a) slice *= static_cast<size_t>(x.shape()[a]);
  std::byte* to = y.mutable_data();
  for (int64_t o = 0; o < outer && slice != 0; ++o)
    for (int64_t p : d.first) {
      std::memcpy(to, x.data() + static_cast<size_t>(o * x.shape()[axis] + p) * slice, slice);
      to += slice;
    }
  return {y, Tensor::from_integers(d.first, {count}),
          Tensor::from_integers(d.inverse, {x.shape()[axis]}),
          Tensor::from_integers(d.counts, {count})};
}

std::vector<Val> import_unique(OnnxImport& c) {
  Val x = c.input(0);
  Tensor value = c.value(0);
  const int64_t sorted = c.attr_int("sorted", 1);
  if (!c.has_attr("axis")) {
    value = value.reshaped({value.size()});
    x = reshape(x, {value.size()});
  }
  const int axis = normalize_axis(c.attr_int("axis", 0), x.rank(), "Unique: axis");
  const auto count = static_cast<int64_t>(distinct_along(value, axis, sorted != 0).first.size());
  return c.builder().op_n("unique", {x},
                          {{"axis", int64_t{axis}}, {"sorted", sorted}, {"count", count}});
}

void export_unique(OnnxExport& c) {
  c.result(c.emit("Unique", {c.input(0)},
                  {{"axis", *c.attr("axis")}, {"sorted", *c.attr("sorted")}}, 4));
}

}  // namespace

/// Opaque because it sorts and its shape depends on the data; `count` fixes the shape.
OpDef unique() {
  return {
      .name = "unique",
      .doc =
          "The `count` distinct slices of x along `axis`, sorted or in order of appearance; "
          "where each first appears; the place of every slice among them; their frequencies.",
      .inputs = {{"x"}},
      .attrs = {{.name = "axis", .default_value = int64_t{0}},
                {.name = "sorted", .default_value = int64_t{1}},
                {.name = "count"}},
      .opaque = Opaque{.infer = infer_unique, .evaluate = evaluate_unique},
      .onnx = {{.op = "Unique", .since = 11, .import = import_unique, .export_ = export_unique}},
      .samples = {sample({5}, DType::f32, {{"count", int64_t{5}}}),
                  sample({2, 4}, DType::f32, {{"count", int64_t{4}}, {"axis", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
