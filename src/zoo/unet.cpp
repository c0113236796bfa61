// SPDX-License-Identifier: Apache-2.0
// A small latent diffusion U-Net (Rombach et al. 2022): residual blocks with group normalization,
// SiLU and a time embedding, cross-attention to a text, one level down and up again. --seq is the
// length of the text, --image that of the latent's side.
#include <cmath>

#include "base/check.h"
#include "zoo/models.h"
#include "zoo/net.h"

namespace tessera::zoo {
namespace {

constexpr int64_t low = 128, high = 256, text_width = 256, time_width = 512, heads = 8, groups = 32;

struct Unet {
  Net net;
  int64_t batch, seq;
  Val time, text;

  Val norm(const std::string& n, Val x) { return net.group_norm(n, x, groups, 1e-5); }

  Val residual(const std::string& n, Val x, int64_t channels) {
    const Val a = net.silu(norm(n + ".a.0", x));
    Val y = net.conv(n + ".a.2", a, channels, square(3, 1, 1));
    const Val t = net.gemm(n + ".t", time, channels);
    y = net.expect(y + ops::unsqueeze(ops::unsqueeze(t, {2}), {3}), {0, 2});
    y = net.conv(n + ".b.2", net.silu(norm(n + ".b.0", y)), channels, square(3, 1, 1));
    const bool same = *x.dim(1).constant() == channels;
    return net.add(y, same ? x : net.conv(n + ".s", x, channels, square(1)));
  }

  Val cross_attention(const std::string& n, Val x) {
    const std::vector<int64_t> shape = *sym::constants(x.shape());
    const int64_t channels = shape[1], pixels = shape[2] * shape[3], head = channels / heads;
    const Val flat = net.reshape(norm(n + ".n", x), {batch, channels, pixels});
    const Val rows = net.transpose(flat, {0, 2, 1});
    const auto split = [&](const char* part, Val from, int64_t length, std::vector<int64_t> perm) {
      const Val y = net.linear(n + part, from, channels, false);
      return net.transpose(net.reshape(y, {batch, length, heads, head}), std::move(perm));
    };
    const Val q = split(".q", rows, pixels, {0, 2, 1, 3}), k = split(".k", text, seq, {0, 2, 3, 1}),
              v = split(".v", text, seq, {0, 2, 1, 3});
    const Val scores = matmul(q, k) * net.number(1 / std::sqrt(static_cast<double>(head)));
    const Val y = matmul(net.builder().op("softmax", {scores}), v);
    const Val joined = ops::reshape(ops::transpose(y, {0, 2, 1, 3}), {batch, pixels, channels});
    const Val out = net.linear(n + ".o", net.expect(joined, {0, 0.2}), channels);
    return net.add(x, net.reshape(net.transpose(out, {0, 2, 1}), shape));
  }

  Val double_size(Val x) {
    const Moments m = net.moments(x);
    const ir::AttrMap attrs{{"axes", std::vector<int64_t>{2, 3}},
                            {"sizes", ir::Dims{x.dim(2) * 2, x.dim(3) * 2}},
                            {"mode", std::string("nearest")},
                            {"nearest_mode", std::string("floor")},
                            {"transform", std::string("asymmetric")}};
    return net.expect(net.builder().op("resize", {x}, attrs), m);
  }
};

}  // namespace

ir::Graph unet(const Settings& s) {
  TESSERA_USER_CHECK(s.image % 2 == 0, "unet --image must be even, found {}", s.image);
  Unet m{Net("unet", s.seed), s.batch, s.seq, {}, {}};
  Net& net = m.net;
  const Val x = net.input("x", DType::f32, {s.batch, 4, s.image, s.image});
  const Val t = net.input("t", DType::f32, {s.batch, time_width});
  m.text = net.expect(net.input("ctx", DType::f32, {s.batch, s.seq, text_width}), {0, 1});
  m.time = net.silu(t);
  Val y = net.conv("i", x, low, square(3, 1, 1));
  const Val skip = m.cross_attention("a1", m.residual("d1", y, low));
  y = net.conv("p", skip, low, square(3, 2, 1));
  y = m.cross_attention("a2", m.residual("d2", y, high));
  y = m.residual("m", y, high);
  y = net.conv("u", m.double_size(y), high, square(3, 1, 1));
  y = m.cross_attention("a3", m.residual("u1", net.concat({y, skip}, 1), low));
  net.output("y", net.conv("o", y, 4, square(3, 1, 1)));
  return std::move(m.net).finish();
}

}  // namespace tessera::zoo
