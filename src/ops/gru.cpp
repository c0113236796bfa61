// SPDX-License-Identifier: Apache-2.0
// Gated recurrent unit.
#include "ops/rnn_form.h"

namespace tessera::ops::records {
namespace {

// Gates in the order update, reset, hidden. With `linear_before_reset`, the hidden gate's recurrent
// bias is added before the reset gate multiplies, so it cannot be folded into the input.
std::vector<Val> decompose_gru(Decomposition& d) {
  RnnCell cell;
  cell.gates = 3;
  cell.activations = 2;
  const bool linear = d.flag("linear_before_reset");
  const auto pair = [](Val v) {
    const sym::Expr width = sym::floor_div(v.dim(-1), 3);
    return slice(v, {v.rank() - 1}, {0}, {width * 2});
  };
  cell.folded_bias = [linear, pair](Val input, Val recurrent) {
    if (!linear) return input + recurrent;
    return concat({pair(input) + pair(recurrent), gate(input, 2, 3)}, 0);
  };
  cell.invariants = [linear, pair](const std::function<Val(int)>& part) {
    const Val r = transpose(part(2), {1, 0});
    std::vector<Val> values{linear ? r : pair(r)};
    if (!linear) values.push_back(gate(r, 2, 3));
    else if (const Val b = part(3); b.present()) values.push_back(gate(gate(b, 1, 2), 2, 3));
    return values;
  };
  cell.step = [linear](const RnnStep& s) -> std::vector<Val> {
    const Val h = s.states[0];
    const Val products = matmul(h, s.invariants[0]);
    const int blocks = linear ? 3 : 2;
    const auto gated = [&](int k) {
      return s.activations[0](s.clip(gate(s.x, k, 3) + gate(products, k, blocks)));
    };
    const Val z = gated(0), r = gated(1);
    Val recurrent;
    if (linear) {
      recurrent = gate(products, 2, 3);
      if (s.invariants.size() > 1) recurrent = recurrent + s.invariants[1];
      recurrent = r * recurrent;
    } else {
      recurrent = matmul(r * h, s.invariants[1]);
    }
    const Val candidate = s.activations[1](s.clip(gate(s.x, 2, 3) + recurrent));
    return {(1.0 - z) * candidate + z * h};
  };
  return decompose_rnn(d, cell);
}

}  // namespace

OpDef gru() {
  std::vector<AttrDef> attrs = rnn_attrs();
  attrs.push_back({.name = "linear_before_reset", .default_value = int64_t{0}});
  return {
      .name = "gru",
      .doc =
          "Gated recurrent unit over a sequence (Cho et al., 2014); y and the last hidden state.",
      .inputs = {{"x"}, {"w"}, {"r"}, {"b", true}, {"sequence_lens", true}, {"initial_h", true}},
      .attrs = attrs,
      .decompose = decompose_gru,
      .onnx = {rnn_onnx_form("GRU")},
      .samples = {sample({{3, 2, 4}, {1, 9, 4}, {1, 9, 3}, {1, 18}}),
                  sample({{3, 2, 4}, {1, 6, 4}, {1, 6, 2}, {1, 12}},
                         {{"direction", std::string("reverse")},
                          {"linear_before_reset", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
