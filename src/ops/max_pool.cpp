// SPDX-License-Identifier: Apache-2.0
// Maximum over sliding windows.
#include "ops/pool_form.h"

#include <limits>

namespace tessera::ops::records {
namespace {

Expr max_pool_lowest(MeaningBuilder& b, DType type) {
  return is_float(type) ? b.literal(-std::numeric_limits<double>::infinity(), type)
                        : b.pool().integer(min_integer(type), type);
}

void max_pool_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  b.check(x.rank() >= 3, "x must have rank 3 or more, found {}", x.rank());
  const Dims kernel = b.dims("kernel_shape");
  const Windows windows =
      windows_of(b, {x.shape().begin() + 2, x.shape().end()}, {kernel.begin(), kernel.end()});
  Dims shape{x.dim(0), x.dim(1)};
  for (const Size& s : windows.counts()) shape.push_back(s);
  b.output(shape, [&](std::span<const Expr> i) {
    return b.reduce(ir::Reduction::max, windows.kernel, [&](std::span<const Expr> k) {
      Indices source{i[0], i[1]};
      for (int axis = 0; axis < windows.rank(); ++axis)
        source.push_back(windows.position(axis, i[axis + 2], k[axis]));
      return windows.guarded(b, std::span(source).subspan(2), x(source),
                             max_pool_lowest(b, x.type()));
    });
  });
}

// The optional second output, positions of the maxima, is an operator of its own.
std::vector<Val> import_max_pool(OnnxImport& c) {
  const ir::Dims x = c.input(0).shape();
  if (x.size() < 3) c.fail("x must have rank 3 or more");
  const std::vector<int64_t> kernel = c.attr_ints("kernel_shape", {});
  ir::AttrMap attrs = import_windows(c, {x.begin() + 2, x.end()}, kernel);
  attrs.emplace("kernel_shape", kernel);
  if (c.attr_int("ceil_mode", 0) != 0) attrs.emplace("ceil_mode", int64_t{1});
  std::vector<Val> results{c.op("max_pool", {c.input(0)}, attrs)};
  if (c.wants_output(1)) {
    if (c.attr_int("storage_order", 0) != 0) attrs.emplace("storage_order", int64_t{1});
    results.push_back(c.op("max_pool_indices", {c.input(0), results[0]}, attrs));
  }
  return results;
}

}  // namespace

OpDef max_pool() {
  using Ints = std::vector<int64_t>;
  std::vector<AttrDef> attrs = window_attrs();
  attrs.push_back({.name = "kernel_shape", .kind = ir::AttrKind::integers});
  attrs.push_back({.name = "ceil_mode", .default_value = int64_t{0}});
  return {
      .name = "max_pool",
      .doc = "Maximum over sliding windows of x[N,C,…]; padding is never chosen.",
      .inputs = {{"x"}},
      .attrs = attrs,
      .meaning = max_pool_meaning,
      .onnx = {{.op = "MaxPool",
                .import = import_max_pool,
                .export_ =
                    [](OnnxExport& c) {
                      export_as(c, "MaxPool", {{"ceil_mode", 10}, {"dilations", 10}});
                    }}},
      .samples =
          {sample(
               {1, 2, 6, 6}, DType::f32,
               {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}),
           sample({1, 2, 7}, DType::f32,
                  {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}, {"ceil_mode", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
