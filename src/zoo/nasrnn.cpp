// SPDX-License-Identifier: Apache-2.0
// A recurrent network with the cell that architecture search found (Zoph and Le 2017), unrolled as
// an exporter does: eight pairs of products of the step's input and the state, joined by a tree.
#include <cmath>

#include "zoo/models.h"
#include "zoo/net.h"

namespace tessera::zoo {
namespace {

constexpr int64_t hidden = 512;

using Weights = std::vector<std::pair<Val, Val>>;

Val cell(Net& net, Val x, Val h, const Weights& weights) {
  std::vector<Val> t;
  for (const auto& [wx, wh] : weights) t.push_back(matmul(x, wx) + matmul(h, wh));
  using ops::sigmoid, ops::tanh;
  const Val a = net.builder().op("relu", {t[0]}) + sigmoid(t[3]);
  const Val b = sigmoid(t[1]) + tanh(t[2]);
  const Val c = sigmoid(t[4]) * tanh(t[5]);
  const Val d = sigmoid(t[6]) * net.builder().op("relu", {t[7]});
  const Val e = sigmoid(b) + tanh(c);
  const Val f = tanh(a) * tanh(d);
  return tanh(tanh(e) * tanh(f));
}

}  // namespace

ir::Graph nasrnn(const Settings& s) {
  Net net("nasrnn", s.seed);
  const Val x = net.input("x", DType::f32, {s.batch, s.seq, hidden});
  Val h = net.input("h0", DType::f32, {s.batch, hidden});
  Weights weights;
  const double deviation = 1 / std::sqrt(static_cast<double>(hidden));
  for (int k = 0; k < 8; ++k) {
    const Val wx = net.weight(fmt::format("cell.x{}.weight", k), {hidden, hidden}, deviation);
    weights.emplace_back(
        wx, net.weight(fmt::format("cell.h{}.weight", k), {hidden, hidden}, deviation));
  }
  for (int64_t step = 0; step < s.seq; ++step) {
    const Val at = net.builder().constant(Tensor::from_integers(std::vector<int64_t>{step}, {}));
    const Val now = net.builder().op("gather", {x, at}, {{"axis", int64_t{1}}});
    h = cell(net, now, h, weights);
  }
  net.output("y", h);
  return std::move(net).finish();
}

}  // namespace tessera::zoo
