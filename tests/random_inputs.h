// SPDX-License-Identifier: Apache-2.0
// Inputs of small graphs of floats, ordinary ones and such that find what was overlooked.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "ir/graph.h"
#include "types/tensor.h"

namespace tessera {

/// Standard normal; with some NaN, infinities and negative zeros among them; denormal.
enum class Numbers { usual, unusual, tiny };

inline std::vector<Tensor> random_inputs(const ir::Graph& graph, Numbers numbers) {
  Rng rng(11);
  std::vector<Tensor> inputs;
  for (ir::NodeId id : graph.inputs()) {
    const ir::ValueType& type = graph.node(id).outputs[0];
    inputs.emplace_back(type.dtype, type.concrete_shape());
    const double rare[] = {std::nan(""), HUGE_VAL, -HUGE_VAL, -0.0};
    const int64_t one_in = std::max<int64_t>(40, inputs.back().size() / 20);
    for (int64_t k = 0; k < inputs.back().size(); ++k) {
      const bool is_rare = numbers == Numbers::unusual && rng.integer(0, one_in) == 0;
      const double usual = rng.normal() * (numbers == Numbers::tiny ? 1e-40 : 1);
      inputs.back().set_float(k, is_rare ? rare[rng.integer(0, 3)] : usual);
    }
  }
  return inputs;
}

}  // namespace tessera
