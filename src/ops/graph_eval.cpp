// SPDX-License-Identifier: Apache-2.0
// Evaluates graphs node by node through the records, structural operators included.
#include <cstring>

#include "base/check.h"
#include "ops/evaluate.h"
#include "ops/registry.h"

namespace tessera::ops {
namespace {

Tensor to_evaluated(const Tensor& tensor, bool wide) {
  return tensor.converted(evaluated_type(tensor.type(), wide));
}

// Row `i` of a tensor along axis 0, as a view.
Tensor row(const Tensor& tensor, int64_t i) {
  Shape shape(tensor.shape().begin() + 1, tensor.shape().end());
  const size_t bytes = static_cast<size_t>(*element_count(shape)) * size_of(tensor.type());
  auto owner = std::make_shared<Tensor>(tensor);
  return Tensor(tensor.type(), std::move(shape), owner, tensor.data() + i * bytes);
}

// The record `scan` (src/ops/scan.cpp) states the conventions.
std::vector<Tensor> evaluate_scan(const AttrReader& attrs, const ir::Graph& body,
                                  std::span<const Tensor> inputs, const EvalOptions& options) {
  const auto states = static_cast<size_t>(attrs.integer("states"));
  const auto scans = static_cast<size_t>(attrs.integer("scans"));
  const bool reverse = attrs.flag("reverse");
  const auto length = attrs.dims("length").at(0).constant();
  TESSERA_USER_CHECK(length.has_value(), "scan: the number of steps is unbound");
  std::vector<Tensor> state(inputs.begin(), inputs.begin() + static_cast<long>(states));
  std::vector<Tensor> stacked;
  for (size_t k = states; k < body.outputs().size(); ++k) {
    const ir::ValueType& type = body.type(body.outputs()[k].value);
    Shape shape = type.concrete_shape();
    shape.insert(shape.begin(), *length);
    stacked.emplace_back(evaluated_type(type.dtype, options.wide), shape);
  }
  for (int64_t step = 0; step < *length; ++step) {
    const int64_t at = reverse ? *length - 1 - step : step;
    std::vector<Tensor> arguments = state;
    for (size_t k = 0; k < scans; ++k) arguments.push_back(row(inputs[states + k], at));
    for (size_t k = states + scans; k < inputs.size(); ++k) arguments.push_back(inputs[k]);
    std::vector<Tensor> results = evaluate(body, arguments, options);
    for (size_t k = 0; k < stacked.size(); ++k) {
      const Tensor& part = results[states + k];
      if (part.bytes() != 0)
        std::memcpy(stacked[k].mutable_data() + at * part.bytes(), part.data(), part.bytes());
    }
    results.resize(states);
    state = std::move(results);
  }
  state.insert(state.end(), stacked.begin(), stacked.end());
  return state;
}

}  // namespace

bool keeps_constants(const OpDef& def, const ir::ValueType& input) {
  return def.name == "dequantize_linear" && size_of(input.dtype) == 1 && input.shape.size() >= 2;
}

std::vector<Tensor> evaluate_node(const OpDef& def, const ir::AttrMap& attrs,
                                  std::span<const ir::ValueType* const> types,
                                  std::span<const Tensor> inputs,
                                  std::span<const std::shared_ptr<const ir::Graph>> regions,
                                  const EvalOptions& options) {
  const InputTypes input_types(types.begin(), types.end());
  if (def.meaning) {
    const ir::Meaning meaning = instantiate(def, input_types, attrs);
    return options.tier == Tier::tree
               ? tree_evaluate(meaning, inputs, options.wide)
               : loop_evaluate(meaning, inputs, options.wide, options.threads);
  }
  if (def.decompose) {
    const ir::Graph body = decompose(def, input_types, attrs, regions);
    std::vector<Tensor> arguments;
    for (size_t k = 0; k < types.size(); ++k)
      if (types[k]) arguments.push_back(inputs[k]);
    return evaluate(body, arguments, options);
  }
  const AttrReader reader(def, attrs);
  if (def.name == "constant") return {to_evaluated(reader.tensor("value"), options.wide)};
  if (def.name == "scan") return evaluate_scan(reader, *regions[0], inputs, options);
  if (!def.opaque || !def.opaque->evaluate)
    fail_user(ErrorKind::unsupported, "operator '{}' cannot be interpreted", def.name);
  // Opaque references work on the declared types.
  std::vector<Tensor> declared(inputs.begin(), inputs.end());
  std::vector<const Tensor*> values;
  for (size_t k = 0; k < types.size(); ++k) {
    if (types[k]) declared[k] = declared[k].converted(types[k]->dtype);
    values.push_back(types[k] ? &declared[k] : nullptr);
  }
  std::vector<Tensor> results = def.opaque->evaluate({reader, types, values, regions});
  for (Tensor& t : results) t = to_evaluated(t, options.wide);
  return results;
}

std::vector<Tensor> evaluate(const ir::Graph& graph, std::span<const Tensor> inputs,
                             const EvalOptions& options) {
  TESSERA_CHECK(inputs.size() == graph.inputs().size(), "{} inputs for {}", inputs.size(),
                graph.inputs().size());
  std::vector<std::vector<Tensor>> values(graph.node_count());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ir::Node& n = graph.node(graph.inputs()[i]);
    TESSERA_USER_CHECK(inputs[i].shape() == n.outputs[0].concrete_shape(),
                       "input '{}' has shape {}, expected {}", n.name,
                       shape_to_string(inputs[i].shape()), sym::to_string(n.outputs[0].shape));
    values[graph.inputs()[i]] = {to_evaluated(inputs[i], options.wide)};
  }
  std::vector<uint32_t> uses = graph.use_counts();
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    const ir::Node& n = graph.node(id);
    if (n.op == "input") continue;
    std::vector<Tensor> arguments;
    for (ir::Value v : n.inputs)
      arguments.push_back(v.present() ? values[v.node][v.index] : Tensor{});
    try {
      values[id] = evaluate_node(registry().get(n.op), n.attrs, input_types(graph, n), arguments,
                                 n.regions, options);
    } catch (const UserError& e) {
      if (n.name.empty()) throw;
      throw UserError(e.kind(), fmt::format("node '{}' ({}): {}", n.name, n.op, e.what()));
    }
    for (ir::Value v : n.inputs)
      if (v.present() && --uses[v.node] == 0) values[v.node].clear();
  }
  std::vector<Tensor> results;
  for (const ir::GraphOutput& o : graph.outputs())
    results.push_back(values[o.value.node][o.value.index]);
  return results;
}

}  // namespace tessera::ops
