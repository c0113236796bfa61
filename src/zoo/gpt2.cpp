// SPDX-License-Identifier: Apache-2.0
// GPT-2 (Radford et al. 2019) as in transformers: pre-norm decoder, products as Gemm on flattened
// tokens, one projection split into query, key and value, tanh GELU. Ends with the hidden state.
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "zoo/models.h"
#include "zoo/net.h"

namespace tessera::zoo {
namespace {

constexpr int64_t width = 768, heads = 12, vocabulary = 50257, positions = 1024;
constexpr double epsilon = 1e-5;

struct Gpt2 {
  Net net;
  int64_t batch, seq;

  // Tokens as rows, a Gemm, and back.
  Val projection(const std::string& n, Val x, int64_t out) {
    const int64_t in = *x.dim(-1).constant();
    const Val flat = net.reshape(x, {batch * seq, in});
    return net.reshape(net.gemm(n, flat, out, false), {batch, seq, out});
  }
  Val heads_of(Val x, std::vector<int64_t> perm) {
    return net.transpose(net.reshape(x, {batch, seq, heads, width / heads}), std::move(perm));
  }

  // Each position sees itself and those before it; the comparison is folded, two Ands are not.
  Val causal_mask() {
    ops::Builder& b = net.builder();
    Tensor earlier(DType::boolean, {1, 1, seq, seq}), same(DType::boolean, {1, 1, seq, seq});
    for (int64_t i = 0; i < seq; ++i)
      for (int64_t j = 0; j < seq; ++j) {
        earlier.set_integer(i * seq + j, j <= i);
        same.set_integer(i * seq + j, 1);
      }
    Tensor ones(DType::boolean, {});
    ones.set_integer(0, 1);
    const Val seen = b.op("logical_and", {b.constant(ones), b.constant(earlier)});
    const Val allowed = b.op("logical_and", {seen, b.constant(same)});
    return ops::where(allowed, net.number(0), net.number(-3.4028234663852886e38));
  }

  Val attention(const std::string& n, Val x, Val bias) {
    const Val qkv = projection(n + ".c_attn", x, 3 * width);
    const auto parts = net.builder().op_n(
        "split", {qkv}, {{"axis", int64_t{2}}, {"sizes", ir::Dims{width, width, width}}});
    const Val q = heads_of(parts[0], {0, 2, 1, 3}), k = heads_of(parts[1], {0, 2, 3, 1}),
              v = heads_of(parts[2], {0, 2, 1, 3});
    const double scale = 1 / std::sqrt(static_cast<double>(width / heads));
    const Val scores = matmul(q, k) * net.number(scale) + bias;
    const Val y = matmul(net.builder().op("softmax", {scores}), v);
    const Val joined = ops::reshape(ops::transpose(y, {0, 2, 1, 3}), {batch, seq, width});
    return projection(n + ".c_proj", net.expect(joined, {0, 0.3}), width);
  }

  Val block(const std::string& n, Val x, Val bias) {
    const Val a = net.layer_norm(n + ".ln_1", x, epsilon);
    x = net.add(attention(n + ".attn", a, bias), x);
    const Val m = net.layer_norm(n + ".ln_2", x, epsilon);
    const Val inner = net.gelu_tanh(projection(n + ".mlp.c_fc", m, 4 * width));
    return net.add(x, projection(n + ".mlp.c_proj", inner, width));
  }
};

}  // namespace

ir::Graph gpt2(const Settings& s) {
  TESSERA_USER_CHECK(s.seq <= positions, "gpt2 --seq is at most {}, found {}", positions, s.seq);
  Gpt2 m{Net("gpt2", s.seed), s.batch, s.seq};
  const Val ids = m.net.input("input_ids", DType::i64, {s.batch, s.seq});
  std::vector<int64_t> range(static_cast<size_t>(s.seq));
  std::iota(range.begin(), range.end(), 0);
  const Val place = m.net.builder().constant(Tensor::from_integers(range, {1, s.seq}));
  const Val words =
      m.net.embedding("wte", m.net.reshape(ids, {s.batch, s.seq}), vocabulary, width, 1);
  Val x = m.net.add(words, m.net.embedding("wpe", place, positions, width, 0.3));
  const Val bias = m.causal_mask();
  for (int64_t layer = 0; layer < s.layers; ++layer)
    x = m.block(fmt::format("h.{}", layer), x, bias);
  m.net.output("last_hidden_state",
               m.net.reshape(m.net.layer_norm("ln_f", x, epsilon), {s.batch, s.seq, width}));
  return std::move(m.net).finish();
}

}  // namespace tessera::zoo
