// SPDX-License-Identifier: Apache-2.0
// BERT-base (Devlin et al. 2018) as in transformers: post-norm encoder, erf GELU, attention as
// MatMul, Mul, Add (mask), Softmax, MatMul. Ends with the last hidden state.
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "zoo/models.h"
#include "zoo/net.h"

namespace tessera::zoo {
namespace {

constexpr int64_t width = 768, heads = 12, vocabulary = 30522, positions = 512;
constexpr double epsilon = 1e-12;

// Word, token type (all the first) and position embeddings; the types are looked up in a buffer.
Val embed(Net& net, Val ids, int64_t seq) {
  ops::Builder& b = net.builder();
  std::vector<int64_t> range(static_cast<size_t>(seq));
  std::iota(range.begin(), range.end(), 0);
  const Val position = b.constant(Tensor::from_integers(range, {1, seq}));
  const Val buffer = b.constant(Tensor(DType::i64, {1, positions}));
  const Val types = b.op("gather_elements", {buffer, position}, {{"axis", int64_t{1}}});
  const std::string name = "embeddings.";
  const Val words = net.embedding(name + "word_embeddings", ids, vocabulary, width, 1);
  const Val kind = net.embedding(name + "token_type_embeddings", types, 2, width, 0.3);
  const Val place = net.embedding(name + "position_embeddings", position, positions, width, 0.3);
  return net.layer_norm(name + "LayerNorm", net.add(net.add(words, kind), place), epsilon);
}

// All positions may attend to all others: the mask that the exporter leaves is constant.
Val mask(Net& net, int64_t seq) {
  Tensor allowed(DType::boolean, {1, 1, seq, seq});
  for (int64_t i = 0; i < allowed.size(); ++i) allowed.set_integer(i, 1);
  return ops::where(net.builder().constant(allowed), net.number(0),
                    net.number(-3.4028234663852886e38));
}

Val attention(Net& net, const std::string& n, Val x, Val bias, int64_t batch, int64_t seq) {
  const auto split = [&](const char* part, std::vector<int64_t> perm) {
    const Val y = net.linear(n + ".self." + part, x, width);
    return net.transpose(net.reshape(y, {batch, seq, heads, width / heads}), std::move(perm));
  };
  const Val q = split("query", {0, 2, 1, 3}), k = split("key", {0, 2, 3, 1}),
            v = split("value", {0, 2, 1, 3});
  const double scale = 1 / std::sqrt(static_cast<double>(width / heads));
  const Val scores = matmul(q, k) * net.number(scale) + bias;
  const Val weights = net.builder().op("softmax", {scores});
  Val y = net.transpose(matmul(weights, v), {0, 2, 1, 3});
  // The average of about `seq` values would shrink, were they independent; the residual dominates.
  y = net.expect(ops::reshape(y, {batch, seq, width}), {0, 0.3});
  return net.linear(n + ".output.dense", y, width);
}

}  // namespace

ir::Graph bert_base(const Settings& s) {
  TESSERA_USER_CHECK(s.seq <= positions, "bert_base --seq is at most {}, found {}", positions,
                     s.seq);
  Net net("bert_base", s.seed);
  const Val ids = net.input("input_ids", DType::i64, {s.batch, s.seq});
  Val x = embed(net, ids, s.seq);
  const Val bias = mask(net, s.seq);
  for (int64_t layer = 0; layer < s.layers; ++layer) {
    const std::string n = fmt::format("encoder.layer.{}", layer);
    const Val a = attention(net, n + ".attention", x, bias, s.batch, s.seq);
    x = net.layer_norm(n + ".attention.output.LayerNorm", net.add(a, x), epsilon);
    const Val inner = net.gelu_erf(net.linear(n + ".intermediate.dense", x, 4 * width));
    const Val outer = net.linear(n + ".output.dense", inner, width);
    x = net.layer_norm(n + ".output.LayerNorm", net.add(outer, x), epsilon);
  }
  net.output("last_hidden_state", x);
  return std::move(net).finish();
}

}  // namespace tessera::zoo
