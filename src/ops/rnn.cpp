// SPDX-License-Identifier: Apache-2.0
// The plain recurrent layer.
#include "ops/rnn_form.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_simple_rnn(Decomposition& d) {
  RnnCell cell;
  cell.folded_bias = [](Val input, Val recurrent) { return input + recurrent; };
  cell.invariants = [](const std::function<Val(int)>& part) {
    return std::vector<Val>{transpose(part(2), {1, 0})};
  };
  cell.step = [](const RnnStep& s) -> std::vector<Val> {
    return {s.activations[0](s.clip(s.x + matmul(s.states[0], s.invariants[0])))};
  };
  return decompose_rnn(d, cell);
}

}  // namespace

OpDef rnn() {
  return {
      .name = "rnn",
      .doc = "h' = f(W·x + R·h + b) over a sequence (Elman, 1990); y and the last hidden state.",
      .inputs = {{"x"}, {"w"}, {"r"}, {"b", true}, {"sequence_lens", true}, {"initial_h", true}},
      .attrs = rnn_attrs(),
      .decompose = decompose_simple_rnn,
      .onnx = {rnn_onnx_form("RNN")},
      .samples = {sample({{3, 2, 4}, {1, 3, 4}, {1, 3, 3}, {1, 6}})},
  };
}

}  // namespace tessera::ops::records
