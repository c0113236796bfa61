// SPDX-License-Identifier: Apache-2.0
// A Llama-style decoder (Touvron et al. 2023) as in transformers: RMSNorm from primitives, rotary
// embedding as Slice, Neg, Concat, grouped queries expanded, SwiGLU. Ends with the hidden state.
#include <cmath>
#include <limits>

#include "zoo/models.h"
#include "zoo/net.h"

namespace tessera::zoo {
namespace {

constexpr int64_t width = 1024, heads = 16, key_heads = 4, head = width / heads, inner = 2816,
                  vocabulary = 32000;

struct Llama {
  Net net;
  int64_t batch, seq;
  Val cosine, sine, bias;

  Val rms_norm(const std::string& n, Val x) {
    const Val power = net.builder().op("pow", {x, net.number(2)});
    const Val mean = ops::reduce("reduce_mean", power, {-1});
    const Val root = net.builder().op("reciprocal", {ops::sqrt(mean + net.number(1e-5))});
    const Val scale = net.weight(n + ".weight", {width}, 0.1, 1);
    return net.expect(scale * (x * root), {0, 1});
  }

  // Angles of all positions, as the exporter folds them.
  void make_rotary() {
    Tensor c(DType::f32, {1, 1, seq, head}), s(DType::f32, {1, 1, seq, head});
    for (int64_t p = 0; p < seq; ++p)
      for (int64_t k = 0; k < head; ++k) {
        const double pair = static_cast<double>(k % (head / 2));
        const double angle = static_cast<double>(p) * std::pow(10000.0, -2 * pair / head);
        c.set_float(p * head + k, std::cos(angle));
        s.set_float(p * head + k, std::sin(angle));
      }
    cosine = net.builder().constant(c, "rotary.cos");
    sine = net.builder().constant(s, "rotary.sin");
  }
  Val rotate(Val x) {
    const Val low = ops::slice(x, {3}, {0}, {head / 2});
    const Val high = ops::slice(x, {3}, {head / 2}, {std::numeric_limits<int64_t>::max()});
    return x * cosine + ops::concat({-high, low}, -1) * sine;
  }

  void make_mask() {
    ops::Builder& b = net.builder();
    Tensor earlier(DType::boolean, {1, 1, seq, seq}), same(DType::boolean, {1, 1, seq, seq});
    for (int64_t i = 0; i < seq; ++i)
      for (int64_t j = 0; j < seq; ++j) {
        earlier.set_integer(i * seq + j, j <= i);
        same.set_integer(i * seq + j, 1);
      }
    Tensor one(DType::boolean, {});
    one.set_integer(0, 1);
    const Val seen = b.op("logical_and", {b.constant(one), b.constant(earlier)});
    const Val allowed = b.op("logical_and", {seen, b.constant(same)});
    bias = ops::where(allowed, net.number(0), net.number(-3.4028234663852886e38));
  }

  Val heads_of(const std::string& n, Val x, int64_t count) {
    const Val y = net.linear(n, x, count * head, false);
    return net.transpose(net.reshape(y, {batch, seq, count, head}), {0, 2, 1, 3});
  }
  // Each key head serves heads / key_heads queries.
  Val repeat(Val x) {
    const Val wide =
        ops::expand(ops::unsqueeze(x, {2}), {batch, key_heads, heads / key_heads, seq, head});
    return ops::reshape(wide, {batch, heads, seq, head});
  }

  Val attention(const std::string& n, Val x) {
    const Val q = rotate(heads_of(n + ".q_proj", x, heads));
    const Val k = rotate(heads_of(n + ".k_proj", x, key_heads));
    const Val v = repeat(heads_of(n + ".v_proj", x, key_heads));
    const Val kt = ops::transpose(repeat(k), {0, 1, 3, 2});
    const Val scores = matmul(q, kt) * net.number(1 / std::sqrt(static_cast<double>(head))) + bias;
    const Val y = matmul(net.builder().op("softmax", {scores}), v);
    const Val joined = ops::reshape(ops::transpose(y, {0, 2, 1, 3}), {batch, seq, width});
    return net.linear(n + ".o_proj", net.expect(joined, {0, 0.3}), width, false);
  }

  Val block(const std::string& n, Val x) {
    x = net.add(x, attention(n + ".self_attn", rms_norm(n + ".input_layernorm", x)));
    const Val y = rms_norm(n + ".post_attention_layernorm", x);
    const Val gate = net.silu(net.linear(n + ".mlp.gate_proj", y, inner, false));
    const Val up = net.linear(n + ".mlp.up_proj", y, inner, false);
    const double power = net.moments(gate).power();
    const Val gated = net.expect(gate * up, {0, power});
    return net.add(x, net.linear(n + ".mlp.down_proj", gated, width, false));
  }
};

}  // namespace

ir::Graph llama(const Settings& s) {
  Llama m{Net("llama", s.seed), s.batch, s.seq, {}, {}, {}};
  const Val ids = m.net.input("input_ids", DType::i64, {s.batch, s.seq});
  Val x = m.net.embedding("embed_tokens", ids, vocabulary, width, 1);
  m.make_mask();
  m.make_rotary();
  for (int64_t layer = 0; layer < s.layers; ++layer)
    x = m.block(fmt::format("layers.{}", layer), x);
  m.net.output("last_hidden_state", m.rms_norm("norm", x));
  return std::move(m.net).finish();
}

}  // namespace tessera::zoo
