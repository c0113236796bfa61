// SPDX-License-Identifier: Apache-2.0
// Transposed convolutions as convolutions. With stride s, outputs that lie s apart are one
// convolution with stride 1 of the input with every s-th tap. Where s divides the number of taps,
// all s of them are one convolution with s times as many channels; otherwise they are computed one
// by one, since a tap of zero would make NaN of an infinity. The results are then interleaved
// ("sub-pixel convolution", Shi et al., CVPR 2016).
#include "ops/attr_reader.h"
#include "ops/builder.h"
#include "ops/registry.h"
#include "plan/passes.h"

namespace tessera::plan {
namespace {

using Ints = std::vector<int64_t>;

struct Windows {
  Ints strides, pads;
  Ints taps;    ///< per axis, of the phase that has most
  Ints places;  ///< per axis: the results of one phase
  int64_t groups = 1;
  bool even = true;  ///< every phase has as many taps
};

Ints filled(Ints list, size_t size, int64_t value) {
  if (list.empty()) list.assign(size, value);
  return list;
}

std::optional<Windows> windows_of(const ops::InputTypes& types, const ir::AttrMap& map,
                                  const Shape& result) {
  const ops::AttrReader attrs(ops::registry().get("conv_transpose"), map);
  const Shape w = types[1]->concrete_shape(), x = types[0]->concrete_shape();
  const size_t rank = w.size() - 2;
  Windows windows;
  windows.strides = filled(attrs.integers("strides"), rank, 1);
  windows.pads = filled(attrs.integers("pads"), 2 * rank, 0);
  windows.groups = attrs.integer("group");
  const Ints dilations = filled(attrs.integers("dilations"), rank, 1);
  for (size_t a = 0; a < rank; ++a) {
    const int64_t stride = windows.strides[a], size = w[a + 2];
    if (dilations[a] != 1 || size < stride || x[a + 2] == 0 || windows.pads[a] < 0)
      return std::nullopt;
    windows.even = windows.even && size % stride == 0;
    windows.taps.push_back((size + stride - 1) / stride);
    windows.places.push_back(x[a + 2] + windows.taps[a] - 1);
    if (windows.pads[a] + result[a + 2] > windows.places[a] * stride) return std::nullopt;
  }
  return windows;
}

// [lead…, phase…, channel, place…] becomes [lead…, channel, place, phase, place, phase, …].
Ints interleaving(int64_t lead, int64_t rank) {
  Ints perm;
  for (int64_t k = 0; k < lead; ++k) perm.push_back(k);
  perm.push_back(lead + rank);
  for (int64_t a = 0; a < rank; ++a) {
    perm.push_back(lead + rank + 1 + a);
    perm.push_back(lead + a);
  }
  return perm;
}

ops::Val slice_by(ops::Val x, Ints axes, ir::Dims starts, ir::Dims ends, Ints steps) {
  return x.builder->op("slice", {x},
                       {{"axes", std::move(axes)},
                        {"starts", std::move(starts)},
                        {"ends", std::move(ends)},
                        {"steps", std::move(steps)}});
}

// w[C, M/g, K…] with K = T·s becomes [g·s…·M/g, C/g, T…], its taps in reverse.
ops::Val weights_of_all_phases(ops::Val w, const Shape& shape, const Windows& windows) {
  const auto rank = static_cast<int64_t>(windows.taps.size());
  const int64_t groups = windows.groups, depth = shape[0] / groups, width = shape[1];
  ir::Dims split{groups, depth, width};
  Ints axes, perm{0};
  int64_t channels = groups * width;
  for (int64_t a = 0; a < rank; ++a) {
    split.insert(split.end(), {windows.taps[a], windows.strides[a]});
    axes.push_back(3 + 2 * a);
    perm.push_back(4 + 2 * a);
    channels *= windows.strides[a];
  }
  perm.insert(perm.end(), {2, 1});
  perm.insert(perm.end(), axes.begin(), axes.end());
  const ir::Dims last(axes.size(), sym::Expr(-1)), begin(axes.size(), sym::Expr(INT64_MIN));
  w = slice_by(reshape(w, split), axes, last, begin, Ints(axes.size(), -1));
  ir::Dims joined{channels, depth};
  joined.insert(joined.end(), windows.taps.begin(), windows.taps.end());
  return reshape(transpose(w, perm), joined);
}

// w[C, M/g, K…] becomes [M, C/g, taps of the phase…], its taps in reverse.
ops::Val weights_of_phase(ops::Val w, const Shape& shape, const Windows& windows, const Ints& phase,
                          Ints& taps) {
  const int64_t groups = windows.groups, depth = shape[0] / groups, width = shape[1];
  Ints axes, steps, perm{0, 2, 1};
  ir::Dims starts, ends, split{groups, depth, width}, joined{groups * width, depth};
  for (size_t a = 0; a < phase.size(); ++a) {
    const int64_t stride = windows.strides[a];
    taps.push_back((shape[a + 2] - phase[a] + stride - 1) / stride);
    axes.push_back(static_cast<int64_t>(a) + 2);
    starts.push_back(phase[a] + stride * (taps[a] - 1));
    ends.push_back(INT64_MIN);
    steps.push_back(-stride);
    split.push_back(taps[a]);
    joined.push_back(taps[a]);
    perm.push_back(static_cast<int64_t>(a) + 3);
  }
  w = slice_by(w, axes, starts, ends, steps);
  return reshape(transpose(reshape(w, split), perm), joined);
}

ops::Val convolve(ops::Val x, ops::Val w, const Windows& windows, const Ints& taps) {
  Ints pads;
  for (int64_t t : taps) pads.push_back(t - 1);
  for (int64_t t : windows.taps) pads.push_back(t - 1);
  ir::AttrMap attrs{{"pads", pads}};
  if (windows.groups != 1) attrs.emplace("group", windows.groups);
  return x.builder->op("conv", {x, w}, attrs);
}

// The results of the phases as [N, phases…·M, places…], the last axis' phase varying fastest.
ops::Val convolve_phase_by_phase(ops::Val x, ops::Val w, const Shape& shape,
                                 const Windows& windows) {
  std::vector<ops::Val> parts;
  Ints phase(windows.taps.size(), 0);
  while (true) {
    Ints taps;
    const ops::Val weights = weights_of_phase(w, shape, windows, phase, taps);
    parts.push_back(convolve(x, weights, windows, taps));
    size_t a = phase.size();
    while (a-- > 0 && ++phase[a] == windows.strides[a]) phase[a] = 0;
    if (a == SIZE_MAX) return concat(parts, 1);
  }
}

}  // namespace

std::optional<ir::Graph> convolution_of_phases(const ops::InputTypes& types,
                                               const ir::AttrMap& attrs, const Shape& result) {
  const auto windows = windows_of(types, attrs, result);
  if (!windows) return std::nullopt;
  const Shape x = types[0]->concrete_shape(), w = types[1]->concrete_shape();
  const size_t rank = windows->taps.size();
  ops::Builder b("transposed convolution");
  const ops::Val input = b.input("x", *types[0]), weights = b.input("w", *types[1]);
  std::optional<ops::Val> bias;
  if (types.size() > 2 && types[2]) bias = b.input("bias", *types[2]);

  ops::Val y = windows->even ? convolve(input, weights_of_all_phases(weights, w, *windows),
                                        *windows, windows->taps)
                             : convolve_phase_by_phase(input, weights, w, *windows);
  const int64_t width = w[1] * windows->groups;
  ir::Dims split{x[0]}, whole{x[0], width}, starts, ends;
  if (windows->even) split.push_back(windows->groups);
  const auto lead = static_cast<int64_t>(split.size());
  split.insert(split.end(), windows->strides.begin(), windows->strides.end());
  split.push_back(windows->even ? w[1] : width);
  split.insert(split.end(), windows->places.begin(), windows->places.end());
  Ints axes, rest;
  for (size_t a = 0; a < rank; ++a) {
    whole.push_back(windows->places[a] * windows->strides[a]);
    axes.push_back(static_cast<int64_t>(a) + 2);
    rest.push_back(static_cast<int64_t>(a) + 1);
    starts.push_back(windows->pads[a]);
    ends.push_back(windows->pads[a] + result[a + 2]);
  }
  const Ints perm = interleaving(lead, static_cast<int64_t>(rank));
  y = slice(reshape(transpose(reshape(y, split), perm), whole), axes, starts, ends);
  if (bias) y = y + unsqueeze(*bias, rest);
  b.output("y", y);
  return std::move(b).finish();
}

}  // namespace tessera::plan
