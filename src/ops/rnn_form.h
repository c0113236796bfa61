// SPDX-License-Identifier: Apache-2.0
// What LSTM, GRU and RNN share: directions, layouts, sequence lengths, activations. Each direction
// is one scan; the product of the whole sequence with the input weights stands before it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ops/op_def.h"

namespace tessera::ops {

using Activation = std::function<Val(Val)>;

/// What one step of one direction sees; everything is a value of the scan's region.
struct RnnStep {
  std::vector<Val> states;  ///< [batch, hidden]; the hidden state first
  Val x;                    ///< [batch, gates · hidden]: input · Wᵀ + biases of `folded_bias`
  std::vector<Val> invariants;  ///< in the order of RnnCell::invariants
  std::vector<Activation> activations;
  std::function<Val(Val)> clip;
};

/// One kind of cell. Weights have the axes direction, gates · hidden, input or hidden.
struct RnnCell {
  int gates = 1;
  int states = 1;
  int activations = 1;
  /// The bias added to the projected input, given both halves ([gates · hidden] each).
  std::function<Val(Val input_bias, Val recurrent_bias)> folded_bias;
  /// Loop invariants of a direction; `part(k)` is input k of that direction with its axis removed,
  /// absent if the input is.
  std::function<std::vector<Val>(const std::function<Val(int)>& part)> invariants;
  /// New states.
  std::function<std::vector<Val>(const RnnStep&)> step;
};

/// Inputs x, w, r, b, sequence_lens, initial_h, (initial_c, …). Returns y and the final states.
std::vector<Val> decompose_rnn(Decomposition& d, const RnnCell& cell);

/// Attributes common to the three operators; `activations` are the defaults of one direction.
std::vector<AttrDef> rnn_attrs();
/// The ONNX form of a record with rnn_attrs().
OnnxForm rnn_onnx_form(const std::string& onnx_op);

/// Column block `k` of `count` along the last axis.
Val gate(Val x, int k, int count);

}  // namespace tessera::ops
