// SPDX-License-Identifier: Apache-2.0
// ViT-B/16 (Dosovitskiy et al. 2020) as in torchvision: packed projection, heads moved about by
// reshapes and transposes, scaled queries and keys, erf GELU.
#include <cmath>

#include "base/check.h"
#include "zoo/models.h"
#include "zoo/net.h"

namespace tessera::zoo {
namespace {

constexpr int64_t width = 768, heads = 12, head = width / heads, patch = 16;
constexpr double epsilon = 1e-6;

struct Vit {
  Net net;
  int64_t batch, seq;

  // torch.nn.MultiheadAttention works on [seq, batch, width].
  Val part(Val packed, int64_t index) {
    const Val at = net.builder().constant(Tensor::from_integers(std::vector<int64_t>{index}, {}));
    const Val x = net.builder().op("gather", {packed, at});
    return ops::transpose(ops::reshape(x, {seq, batch * heads, head}), {1, 0, 2});
  }
  Val four(Val x, int64_t rows, int64_t columns) {
    return ops::reshape(x, {batch, heads, rows, columns});
  }

  Val attention(const std::string& n, Val x) {
    const Val linear = net.linear(n + ".in_proj", net.transpose(x, {1, 0, 2}), 3 * width);
    const Val apart = ops::unsqueeze(ops::reshape(linear, {seq, batch, 3, width}), {0});
    const Val packed = ops::squeeze(ops::transpose(apart, {3, 1, 2, 0, 4}), {3});
    // Queries and keys are both scaled by the fourth root.
    const Val root = net.builder().constant(
        Tensor::from_floats(std::vector<double>{1 / std::pow(head, 0.25)}, {1}));
    const Val q = four(part(packed, 0), seq, head) * root;
    const Val k = four(ops::transpose(part(packed, 1), {0, 2, 1}), head, seq) * root;
    const Val v = four(part(packed, 2), seq, head);
    const Val y = matmul(net.builder().op("softmax", {matmul(q, k)}), v);
    const Val rows = ops::reshape(ops::transpose(y, {2, 0, 1, 3}), {seq * batch, width});
    const Val out = net.gemm(n + ".out_proj", net.expect(rows, {0, 0.3}), width);
    return net.transpose(net.reshape(out, {seq, batch, width}), {1, 0, 2});
  }

  Val block(const std::string& n, Val x) {
    const Val a = attention(n + ".self_attention", net.layer_norm(n + ".ln_1", x, epsilon));
    x = net.add(a, x);
    const Val y = net.linear(n + ".mlp.0", net.layer_norm(n + ".ln_2", x, epsilon), 4 * width);
    return net.add(x, net.linear(n + ".mlp.3", net.gelu_erf(y), width));
  }
};

}  // namespace

ir::Graph vit_b_16(const Settings& s) {
  TESSERA_USER_CHECK(s.image % patch == 0, "vit_b_16 --image must be a multiple of {}, found {}",
                     patch, s.image);
  const int64_t patches = s.image / patch * (s.image / patch);
  Vit m{Net("vit_b_16", s.seed), s.batch, patches + 1};
  Net& net = m.net;
  Val x = net.input("x", DType::f32, {s.batch, 3, s.image, s.image});
  x = net.conv("conv_proj", x, width, square(patch, patch));
  x = net.transpose(net.reshape(x, {s.batch, width, patches}), {0, 2, 1});
  const Val token = net.expect(net.weight("class_token", {s.batch, 1, width}, 1), {0, 1});
  x = net.concat({token, x}, 1);
  const Val place = net.weight("encoder.pos_embedding", {1, m.seq, width}, 0.3);
  x = net.add(x, net.expect(place, {0, 0.1}));
  for (int64_t layer = 0; layer < s.layers; ++layer)
    x = m.block(fmt::format("encoder.layers.encoder_layer_{}", layer), x);
  x = net.layer_norm("encoder.ln", x, epsilon);
  const Val first = net.builder().constant(Tensor::from_integers(std::vector<int64_t>{0}, {}));
  const Val chosen = net.builder().op("gather", {x, first}, {{"axis", int64_t{1}}});
  net.output("y", net.gemm("heads.head", net.expect(chosen, {0, 1}), 1000));
  return std::move(m.net).finish();
}

}  // namespace tessera::zoo
