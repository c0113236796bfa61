// SPDX-License-Identifier: Apache-2.0
// Inputs by name, and inputs drawn from a seed.
#include <algorithm>

#include "api/load.h"
#include "base/check.h"
#include "base/rng.h"

namespace tessera::api {
namespace {

// Operators that hand the integers of their first input on: what looks them up lies further down.
bool forwards_integers(const std::string& op) {
  static const std::set<std::string> names{"identity", "reshape", "cast",      "unsqueeze",
                                           "squeeze",  "flatten", "transpose", "expand",
                                           "slice",    "concat",  "split",     "where"};
  return names.count(op) > 0;
}

// The largest index that every lookup fed by `source` accepts plus one; 0 if it indexes nothing.
int64_t index_limit(const ir::Graph& graph, ir::NodeId source) {
  std::set<ir::NodeId> reached{source};
  int64_t limit = 0;
  for (ir::NodeId id = source + 1; id < graph.node_count(); ++id) {
    const ir::Node& node = graph.node(id);
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      const ir::Value& v = node.inputs[k];
      if (!v.present() || !reached.count(v.node)) continue;
      if (k == 1 && node.op.starts_with("gather")) {
        const auto axis = node.attrs.find("axis");
        const ir::Dims& table = graph.type(node.inputs[0]).shape;
        int64_t at = axis == node.attrs.end() ? 0 : std::get<int64_t>(axis->second);
        if (at < 0) at += static_cast<int64_t>(table.size());
        const auto size = table[static_cast<size_t>(at)].constant();
        if (size) limit = limit == 0 ? *size : std::min(limit, *size);
      } else if (forwards_integers(node.op)) {
        reached.insert(id);
      }
    }
  }
  return limit;
}

void fill_floats(Tensor& tensor, Rng& rng) {
  // An offset for each slice along axis 1 (the channels of an image): without it the averages over
  // all pixels, which classifiers use, would hardly differ from seed to seed.
  const Shape& shape = tensor.shape();
  const int64_t channels = shape.size() >= 3 ? shape[0] * shape[1] : 1;
  const int64_t inner = channels > 0 ? tensor.size() / channels : 0;
  for (int64_t c = 0; c < channels; ++c) {
    const double offset = channels > 1 ? rng.normal() : 0.0;
    for (int64_t i = 0; i < inner; ++i) tensor.set_float(c * inner + i, offset + rng.normal());
  }
}

}  // namespace

std::vector<Tensor> random_inputs(const ir::Graph& graph, uint64_t seed) {
  require_concrete(graph);
  std::vector<Tensor> result;
  for (const ir::NodeId id : graph.inputs()) {
    const ir::ValueType& type = graph.node(id).outputs[0];
    Rng rng(seed * 0x9e3779b97f4a7c15ULL + result.size() + 1);
    Tensor tensor(type.dtype, type.concrete_shape());
    if (is_float(type.dtype)) {
      fill_floats(tensor, rng);
    } else {
      const int64_t limit = type.dtype == DType::boolean ? 0 : index_limit(graph, id);
      const int64_t widest = type.dtype == DType::i8 || type.dtype == DType::u8 ? 100 : 1000;
      const int64_t top = limit > 0 ? std::min(limit, widest) : 2;
      for (int64_t i = 0; i < tensor.size(); ++i) tensor.set_integer(i, rng.integer(0, top - 1));
    }
    result.push_back(std::move(tensor));
  }
  return result;
}

std::vector<Tensor> arrange_inputs(const ir::Graph& graph, const NamedTensors& named) {
  std::vector<Tensor> result;
  std::set<std::string> used;
  for (const ir::NodeId id : graph.inputs()) {
    const ir::Node& input = graph.node(id);
    const auto found = named.find(input.name);
    TESSERA_USER_CHECK(found != named.end(), "input '{}' ({}) is not given", input.name,
                       input.outputs[0].to_string());
    used.insert(input.name);
    const Tensor& tensor = found->second;
    const ir::ValueType& type = input.outputs[0];
    TESSERA_USER_CHECK(tensor.type() == type.dtype && tensor.shape() == type.concrete_shape(),
                       "input '{}' must be {}, found {}{}", input.name, type.to_string(),
                       to_string(tensor.type()), shape_to_string(tensor.shape()));
    result.push_back(tensor);
  }
  for (const auto& [name, tensor] : named)
    TESSERA_USER_CHECK(used.count(name), "the model has no input '{}'", name);
  return result;
}

NamedTensors name_inputs(const ir::Graph& graph, const std::vector<Tensor>& values) {
  NamedTensors result;
  for (size_t k = 0; k < values.size(); ++k)
    result.emplace(graph.node(graph.inputs()[k]).name, values[k]);
  return result;
}

NamedTensors name_outputs(const ir::Graph& graph, const std::vector<Tensor>& values) {
  NamedTensors result;
  for (size_t k = 0; k < values.size(); ++k) result.emplace(graph.outputs()[k].name, values[k]);
  return result;
}

}  // namespace tessera::api
