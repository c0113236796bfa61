// SPDX-License-Identifier: Apache-2.0
// Lp norm over sliding windows.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

void lp_pool_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  b.check(is_float(x.type()), "x must be a float tensor");
  const int64_t p = b.integer("p");
  b.check(p >= 1, "p must be positive, found {}", p);
  const Windows windows = pool_windows(b, x);
  b.output(pool_shape(x, windows), [&](std::span<const Expr> i) {
    const Expr total = combine_window(
        b, x, windows, i, ir::Reduction::sum, b.literal(0, x.type()), [&](Expr element) {
          return p == 1   ? ir::abs(element)
                 : p == 2 ? element * element
                          : pow(ir::abs(element), static_cast<double>(p));
        });
    return p == 1 ? total : p == 2 ? ir::sqrt(total) : pow(total, 1.0 / static_cast<double>(p));
  });
}

std::vector<Val> import_lp_pool(OnnxImport& c) {
  ir::AttrMap attrs = import_pool(c);
  attrs.emplace("p", c.attr_int("p", 2));
  return {c.op("lp_pool", {c.input(0)}, attrs)};
}

std::vector<Val> import_global_lp_pool(OnnxImport& c) {
  const Val x = c.input(0);
  std::vector<int64_t> axes;
  for (int axis = 2; axis < x.rank(); ++axis) axes.push_back(axis);
  if (axes.empty()) c.fail("x must have rank 3 or more");
  const int64_t p = c.attr_int("p", 2);
  if (p == 1) return {reduce("reduce_l1", x, axes)};
  if (p == 2) return {reduce("reduce_l2", x, axes)};
  const auto power = [&](Val v, double e) {
    return c.op("pow", {v, c.builder().scalar(e, v.dtype())});
  };
  const double e = static_cast<double>(p);
  return {power(reduce("reduce_sum", power(c.op("abs", {x}), e), axes), 1 / e)};
}

}  // namespace

OpDef lp_pool() {
  using Ints = std::vector<int64_t>;
  std::vector<AttrDef> attrs = pool_attrs();
  attrs.push_back({.name = "p", .default_value = int64_t{2}});
  return {
      .name = "lp_pool",
      .doc = "(Σ |x|^p)^(1/p) over sliding windows of x[N,C,…].",
      .inputs = {{"x"}},
      .attrs = attrs,
      .meaning = lp_pool_meaning,
      .onnx = {{.op = "LpPool",
                .since = 2,
                .import = import_lp_pool,
                .export_ =
                    [](OnnxExport& c) {
                      export_as(c, "LpPool", {{"ceil_mode", 18}, {"dilations", 18}});
                    }},
               {.op = "GlobalLpPool", .since = 2, .import = import_global_lp_pool}},
      .samples = {sample({1, 2, 6, 6}, DType::f32,
                         {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}}),
                  sample({1, 2, 7}, DType::f32, {{"kernel_shape", Ints{2}}, {"p", int64_t{3}}})},
  };
}

}  // namespace tessera::ops::records
