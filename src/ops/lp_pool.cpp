// SPDX-License-Identifier: Apache-2.0
// Lp norm over sliding windows.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

void lp_pool_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  b.check(x.rank() >= 3 && is_float(x.type()), "x must be a float tensor of rank 3 or more");
  const auto kernel = b.integers("kernel_shape");
  const int64_t p = b.integer("p");
  b.check(p >= 1, "p must be positive, found {}", p);
  const Windows windows =
      windows_of(b, {x.shape().begin() + 2, x.shape().end()}, {kernel.begin(), kernel.end()});
  Dims shape{x.dim(0), x.dim(1)};
  for (const Size& s : windows.counts()) shape.push_back(s);
  b.output(shape, [&](std::span<const Expr> i) {
    const Expr total = b.reduce(ir::Reduction::sum, windows.kernel, [&](std::span<const Expr> k) {
      Indices source{i[0], i[1]};
      for (int axis = 0; axis < windows.rank(); ++axis)
        source.push_back(windows.position(axis, i[axis + 2], k[axis]));
      const Expr element = x(source);
      const Expr power = p == 1   ? ir::abs(element)
                         : p == 2 ? element * element
                                  : pow(ir::abs(element), static_cast<double>(p));
      return windows.guarded(b, std::span(source).subspan(2), power, literal_like(element, 0));
    });
    return p == 1 ? total : p == 2 ? ir::sqrt(total) : pow(total, 1.0 / static_cast<double>(p));
  });
}

std::vector<Val> import_lp_pool(OnnxImport& c) {
  const ir::Dims x = c.input(0).shape();
  if (x.size() < 3) c.fail("x must have rank 3 or more");
  const std::vector<int64_t> kernel = c.attr_ints("kernel_shape", {});
  ir::AttrMap attrs = import_windows(c, {x.begin() + 2, x.end()}, kernel);
  attrs.emplace("kernel_shape", kernel);
  if (c.attr_int("ceil_mode", 0) != 0) attrs.emplace("ceil_mode", int64_t{1});
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
  std::vector<AttrDef> attrs = window_attrs();
  attrs.push_back({.name = "kernel_shape", .kind = ir::AttrKind::integers});
  attrs.push_back({.name = "ceil_mode", .default_value = int64_t{0}});
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
