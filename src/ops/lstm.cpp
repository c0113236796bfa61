// SPDX-License-Identifier: Apache-2.0
// Long short-term memory.
#include "ops/rnn_form.h"

namespace tessera::ops::records {
namespace {

// Gates in the order input, output, forget, cell; peepholes p of input, output, forget.
std::vector<Val> decompose_lstm(Decomposition& d) {
  RnnCell cell;
  cell.gates = 4;
  cell.states = 2;
  cell.activations = 3;
  cell.folded_bias = [](Val input, Val recurrent) { return input + recurrent; };
  cell.invariants = [](const std::function<Val(int)>& part) {
    std::vector<Val> values{transpose(part(2), {1, 0})};
    const Val p = part(7);
    for (int k = 0; p.present() && k < 3; ++k) values.push_back(gate(p, k, 3));
    return values;
  };
  const bool coupled = d.flag("input_forget");
  cell.step = [coupled](const RnnStep& s) -> std::vector<Val> {
    const Val h = s.states[0], c = s.states[1];
    const Val gates = s.x + matmul(h, s.invariants[0]);
    const bool peep = s.invariants.size() > 1;
    const auto looked = [&](int k, int peephole, Val at) {
      const Val g = gate(gates, k, 4);
      return s.clip(peep ? g + s.invariants[1 + peephole] * at : g);
    };
    const Val i = s.activations[0](looked(0, 0, c));
    const Val f = coupled ? 1.0 - i : s.activations[0](looked(2, 2, c));
    const Val next_c = f * c + i * s.activations[1](s.clip(gate(gates, 3, 4)));
    const Val o = s.activations[0](looked(1, 1, next_c));
    return {o * s.activations[2](next_c), next_c};
  };
  return decompose_rnn(d, cell);
}

}  // namespace

OpDef lstm() {
  std::vector<AttrDef> attrs = rnn_attrs();
  attrs.push_back({.name = "input_forget", .default_value = int64_t{0}});
  return {
      .name = "lstm",
      .doc =
          "Long short-term memory over a sequence (Hochreiter and Schmidhuber, 1997) with "
          "optional peepholes; y, the last hidden and the last cell state.",
      .inputs = {{"x"},
                 {"w"},
                 {"r"},
                 {"b", true},
                 {"sequence_lens", true},
                 {"initial_h", true},
                 {"initial_c", true},
                 {"p", true}},
      .attrs = attrs,
      .decompose = decompose_lstm,
      .onnx = {rnn_onnx_form("LSTM")},
      .samples = {sample({{3, 2, 4}, {1, 12, 4}, {1, 12, 3}, {1, 24}}),
                  sample({{3, 2, 4}, {2, 8, 4}, {2, 8, 2}},
                         {{"direction", std::string("bidirectional")}})},
  };
}

}  // namespace tessera::ops::records
