// SPDX-License-Identifier: Apache-2.0
// Where max_pool found its maxima: the second output of ONNX's MaxPool.
#include "ops/pool_form.h"

#include <limits>

namespace tessera::ops::records {
namespace {

// The first element of the window that equals the maximum, as a flat index into x; storage order 1
// numbers the spatial axes column-major.
void max_pool_indices_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), y = b.in(1);
  b.check(x.rank() >= 3 && y.rank() == x.rank(), "operands of ranks {} and {}", x.rank(), y.rank());
  const auto kernel = b.integers("kernel_shape");
  const Windows windows =
      windows_of(b, {x.shape().begin() + 2, x.shape().end()}, {kernel.begin(), kernel.end()});
  const bool column_major = b.flag("storage_order");
  Dims shape{x.dim(0), x.dim(1)};
  for (const Size& s : windows.counts()) shape.push_back(s);
  for (size_t axis = 0; axis < shape.size(); ++axis)
    b.require_equal(y.shape()[axis], shape[axis], "the maxima are of another pooling");
  b.output(shape, [&](std::span<const Expr> i) {
    // The row-major number decides which of several equal elements is first.
    const auto flat = [&](std::span<const Expr> at, bool columns) {
      Expr number = i[0] * x.dim(1) + i[1];
      for (int axis = 0; axis < windows.rank(); ++axis) number = number * windows.input[axis];
      Expr inner = b.integer(0);
      for (int k = 0; k < windows.rank(); ++k) {
        const int axis = columns ? windows.rank() - 1 - k : k;
        inner = inner * windows.input[axis] + at[axis];
      }
      return number + inner;
    };
    const Expr none = b.integer(std::numeric_limits<int64_t>::max());
    const Expr first = b.reduce(ir::Reduction::min, windows.kernel, [&](std::span<const Expr> k) {
      Indices source{i[0], i[1]};
      for (int axis = 0; axis < windows.rank(); ++axis)
        source.push_back(windows.position(axis, i[axis + 2], k[axis]));
      const std::span<const Expr> at = std::span(source).subspan(2);
      const Expr found = ir::select(eq(x(source), y(i)), flat(at, false), none);
      return windows.guarded(b, at, found, none);
    });
    if (!column_major) return first;
    Indices at(windows.rank());
    Expr rest = first;
    for (int axis = windows.rank(); axis-- > 0;) {
      at[axis] = mod(rest, windows.input[axis]);
      rest = floor_div(rest, windows.input[axis]);
    }
    return flat(at, true);
  });
}

}  // namespace

OpDef max_pool_indices() {
  using Ints = std::vector<int64_t>;
  std::vector<AttrDef> attrs = pool_attrs();
  attrs.push_back({.name = "storage_order", .default_value = int64_t{0}});
  return {
      .name = "max_pool_indices",
      .doc = "Flat indices into x of the maxima y = max_pool(x) with the same attributes.",
      .inputs = {{"x"}, {"y"}},
      .attrs = attrs,
      .meaning = max_pool_indices_meaning,
      .onnx = {{.op = "MaxPool",
                .since = 8,
                .export_ =
                    [](OnnxExport& c) {
                      c.result({c.emit("MaxPool", {c.input(0)}, c.node().attrs, 2)[1]});
                    },
                .export_only = true}},
      .samples = {sample({{1, 2, 5, 5}, {1, 2, 3, 3}}, {{"kernel_shape", Ints{3, 3}}})},
  };
}

}  // namespace tessera::ops::records
