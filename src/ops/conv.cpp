// SPDX-License-Identifier: Apache-2.0
// Grouped, strided, dilated convolution over any number of spatial axes.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

// out(n, c, o…) = bias(c) + Σ_r Σ_k x(n, group(c)·R + r, o·stride + k·dilation − pad) · w(c, r, k…)
void conv_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), w = b.in(1);
  b.common_type();
  b.check(x.rank() >= 3 && x.rank() == w.rank(), "operands of ranks {} and {}", x.rank(), w.rank());
  const Size group = b.count("group");
  b.require_at_least(group, 1, "group must be positive");
  const Size channels = w.dim(0), depth = w.dim(1);
  b.require_equal(x.dim(1), depth * group, "the channels of x do not fit the weights");
  b.require_equal(sym::modulo(channels, group), 0, "the output channels are no multiple of group");
  const Windows windows = windows_of(b, {x.shape().begin() + 2, x.shape().end()},
                                     {w.shape().begin() + 2, w.shape().end()});
  if (b.has(2)) {
    b.check(b.in(2).rank() == 1, "bias must have rank 1");
    b.require_equal(b.in(2).dim(0), channels, "the bias does not fit the weights");
  }
  Dims shape{x.dim(0), channels};
  for (const Size& s : windows.counts()) shape.push_back(s);
  std::vector<Size> extents{depth};
  extents.insert(extents.end(), windows.kernel.begin(), windows.kernel.end());
  b.output(shape, [&](std::span<const Expr> i) {
    const Expr first =
        group == Size(1) ? b.integer(0) : floor_div(i[1], sym::floor_div(channels, group)) * depth;
    const Expr total = b.reduce(ir::Reduction::sum, extents, [&](std::span<const Expr> r) {
      Indices source{i[0], first + r[0]}, tap{i[1], r[0]};
      for (int axis = 0; axis < windows.rank(); ++axis) {
        source.push_back(windows.position(axis, i[axis + 2], r[axis + 1]));
        tap.push_back(r[axis + 1]);
      }
      const Expr element = x(source);
      return windows.guarded(b, std::span(source).subspan(2), element, literal_like(element, 0)) *
             w(tap);
    });
    return b.has(2) ? total + b.in(2)(i[1]) : total;
  });
}

std::vector<Val> import_conv(OnnxImport& c) {
  std::vector<Val> inputs{c.input(0), c.input(1)};
  if (c.has_input(2)) inputs.push_back(c.input(2));
  return {c.op("conv", inputs, import_convolution(c, 1))};
}

}  // namespace

OpDef conv() {
  using Ints = std::vector<int64_t>;
  std::vector<AttrDef> attrs = window_attrs();
  attrs.push_back({.name = "group", .default_value = int64_t{1}});
  return {
      .name = "conv",
      .doc = "Convolution (cross-correlation) of x[N,C,…] with w[M,C/group,…]; pads are explicit.",
      .inputs = {{"x"}, {"w"}, {"bias", true}},
      .attrs = attrs,
      .meaning = conv_meaning,
      .onnx = {{.op = "Conv",
                .import = import_conv,
                .export_ = [](OnnxExport& c) { export_as(c, "Conv"); }}},
      .samples = {sample({{1, 2, 5, 5}, {3, 2, 3, 3}, {3}}, {{"pads", Ints{1, 1, 1, 1}}}),
                  sample({{2, 4, 6, 5}, {4, 1, 3, 2}},
                         {{"group", int64_t{4}}, {"strides", Ints{2, 1}}}),
                  sample({{1, 2, 9}, {2, 2, 3}}, {{"dilations", Ints{2}}, {"pads", Ints{2, 1}}}),
                  sample({{1, 2, 3, 4, 3}, {2, 1, 2, 2, 2}}, {{"group", int64_t{2}}})},
  };
}

}  // namespace tessera::ops::records
