// SPDX-License-Identifier: Apache-2.0
// NASNet-A large (Zoph et al. 2018), 4032 features, as in timm in evaluation mode: the
// BatchNormalizations that follow a convolution are folded, those of the joined paths remain.
// Strides pad as TensorFlow's SAME does, with a Pad node of their own.
#include <limits>
#include <map>

#include "zoo/models.h"
#include "zoo/net.h"

namespace tessera::zoo {
namespace {

struct Nasnet {
  Net net;
  std::map<ir::Value, Val> rectified;

  // The exporter computes each activation once.
  Val relu(Val x) {
    const auto [at, fresh] = rectified.emplace(x.value, x);
    if (fresh) at->second = net.relu(x);
    return at->second;
  }

  Val pad(Val x, const std::vector<int64_t>& pads, double value) {
    const Moments m = net.moments(x);
    return net.expect(net.builder().op("pad", {x, net.number(value)},
                                       {{"pads", ir::Dims(pads.begin(), pads.end())}}),
                      m);
  }
  // SAME for stride 2: ⌈size / 2⌉ windows, the odd row of padding at the end.
  Val pad_same(Val x, int64_t kernel, double value) {
    std::vector<int64_t> pads(8, 0);
    for (int axis : {2, 3}) {
      const int64_t size = *x.dim(axis).constant();
      const int64_t all = std::max<int64_t>(((size + 1) / 2 - 1) * 2 + kernel - size, 0);
      pads[axis] = all / 2;
      pads[axis + 4] = all - all / 2;
    }
    return pad(x, pads, value);
  }

  // Depthwise then pointwise; the normalization after it is folded into the second.
  Val separable(const std::string& n, Val x, int64_t channels, int64_t kernel, int64_t stride) {
    ConvShape depthwise = square(kernel, stride, stride == 1 ? kernel / 2 : 0);
    depthwise.groups = *x.dim(1).constant();
    depthwise.bias = false;
    if (stride == 2) x = pad_same(x, kernel, 0);
    x = net.conv(n + ".depthwise_conv2d", x, depthwise.groups, depthwise);
    return net.conv(n + ".pointwise_conv2d", x, channels, square(1));
  }
  Val branch(const std::string& n, Val x, int64_t channels, int64_t kernel, int64_t stride = 1,
             bool stem = false) {
    const int64_t middle = stem ? channels : *x.dim(1).constant();
    x = separable(n + ".separable_1", relu(x), middle, kernel, stride);
    return separable(n + ".separable_2", relu(x), channels, kernel, 1);
  }
  Val squeeze(const std::string& n, Val x, int64_t channels) {
    return net.conv(n + ".conv", relu(x), channels, square(1));
  }
  Val average(Val x) { return net.average_pool(x, square(3, 1, 1), false); }
  // The padded zeros count: that is what the exported Pad and AveragePool compute.
  Val average2(Val x) { return net.average_pool(pad_same(x, 3, 0), square(3, 2), false); }
  Val max2(Val x) {
    return net.max_pool(pad_same(x, 3, -std::numeric_limits<double>::infinity()), square(3, 2));
  }

  // Halves the image along two paths, the second shifted by one pixel, and joins them.
  Val halve(const std::string& n, Val x, int64_t channels) {
    x = relu(x);
    ConvShape plain = square(1);
    plain.bias = false;
    const Val a =
        net.conv(n + ".path_1.conv", net.average_pool(x, square(1, 2), false), channels, plain);
    const Val shifted = pad(x, {0, 0, -1, -1, 0, 0, 1, 1}, 0);
    const Val b = net.conv(n + ".path_2.conv", net.average_pool(shifted, square(1, 2), false),
                           channels, plain);
    return net.batch_norm(n + ".final_path_bn", net.concat({a, b}, 1));
  }

  // The five combinations of a reduction; `left` feeds the wide kernels.
  Val reduce(const std::string& n, Val left, Val right, int64_t c, bool stem = false) {
    const Val c0 = net.add(branch(n + ".comb_iter_0_left", right, c, 5, 2),
                           branch(n + ".comb_iter_0_right", left, c, 7, 2, stem));
    const Val pooled = max2(right);
    const Val c1 = net.add(pooled, branch(n + ".comb_iter_1_right", left, c, 7, 2, stem));
    const Val c2 = net.add(average2(right), branch(n + ".comb_iter_2_right", left, c, 5, 2, stem));
    const Val c3 = net.add(average(c0), c1);
    const Val c4 = net.add(branch(n + ".comb_iter_4_left", c0, c, 3), pooled);
    return net.concat({c1, c2, c3, c4}, 1);
  }
  Val reduction_cell(const std::string& n, Val x, Val previous, int64_t c) {
    return reduce(n, squeeze(n + ".conv_prev_1x1", previous, c), squeeze(n + ".conv_1x1", x, c), c);
  }
  Val combine(const std::string& n, Val left, Val right, int64_t c) {
    const int64_t cl = *left.dim(1).constant();
    const Val c0 = net.add(branch(n + ".comb_iter_0_left", right, c, 5),
                           branch(n + ".comb_iter_0_right", left, c, 3));
    const Val c1 = net.add(branch(n + ".comb_iter_1_left", left, cl, 5),
                           branch(n + ".comb_iter_1_right", left, cl, 3));
    const Val c2 = net.add(average(right), left);
    const Val pooled = average(left);
    const Val c3 = net.add(pooled, pooled);
    const Val c4 = net.add(branch(n + ".comb_iter_4_left", right, c, 3), right);
    return net.concat({left, c0, c1, c2, c3, c4}, 1);
  }
  // First cell of a stage: the previous output has twice the size.
  Val first_cell(const std::string& n, Val x, Val previous, int64_t half, int64_t c) {
    const Val right = squeeze(n + ".conv_1x1", x, c);
    return combine(n, halve(n, previous, half), right, c);
  }
  Val normal_cell(const std::string& n, Val x, Val previous, int64_t c) {
    const Val left = squeeze(n + ".conv_prev_1x1", previous, c);
    return combine(n, left, squeeze(n + ".conv_1x1", x, c), c);
  }
};

}  // namespace

ir::Graph nasnet_a(const Settings& s) {
  constexpr int64_t stem = 96, channels = 168;
  Nasnet m{Net("nasnet_a", s.seed), {}};
  Val x = m.net.input("x", DType::f32, {s.batch, 3, s.image, s.image});
  x = m.net.conv("conv0.conv", x, stem, square(3, 2));
  const int64_t c0 = channels / 4, c1 = channels / 2;
  Val previous = m.reduce("cell_stem_0", x, m.squeeze("cell_stem_0.conv_1x1", x, c0), c0, true);
  // The names of left and right are swapped in this cell: the halved path has the wide kernels.
  Val current = m.reduce("cell_stem_1", m.halve("cell_stem_1", x, c1 / 2),
                         m.squeeze("cell_stem_1.conv_1x1", previous, c1), c1);
  int64_t index = 0;
  for (int stage = 0; stage < 3; ++stage) {
    const int64_t c = channels << stage;
    Val before = previous;
    if (stage > 0) {
      const Val reduced =
          m.reduction_cell(fmt::format("reduction_cell_{}", stage - 1), current, previous, c);
      before = previous;
      current = reduced;
    }
    for (int64_t k = 0; k < s.layers; ++k, ++index) {
      const std::string name = fmt::format("cell_{}", index);
      const Val next = k == 0 ? m.first_cell(name, current, before, c / 2, c)
                              : m.normal_cell(name, current, previous, c);
      previous = current;
      current = next;
    }
  }
  const Val pooled = m.net.flatten(m.net.mean_over_image(m.relu(current)));
  m.net.output("y", m.net.gemm("last_linear", pooled, 1000));
  return std::move(m.net).finish();
}

}  // namespace tessera::zoo
