// SPDX-License-Identifier: Apache-2.0
// Derivation of facts: folding of constants within a budget, and symbolic tracking of integers.
#include "onnx/facts.h"

#include "base/check.h"
#include "onnx/limits.h"
#include "ops/evaluate.h"
#include "ops/registry.h"

namespace tessera::onnx {
namespace {

// Bytes of a value of known shape; nothing when a dimension is symbolic.
std::optional<int64_t> value_bytes(const ir::ValueType& type) {
  if (type.opaque) return std::nullopt;
  const auto shape = sym::constants(type.shape);
  const auto count = shape ? element_count(*shape) : std::nullopt;
  if (!count || *count > max_value_bytes / 8) return std::nullopt;
  return *count * static_cast<int64_t>(size_of(type.dtype));
}

double graph_steps(const ir::Graph& graph);

// Scalar steps of one node, with those of preparing the evaluation; infinite when it must not be
// evaluated.
double node_steps(const ops::OpDef& def, const ops::InputTypes& types, const ir::Node& node) {
  constexpr double never = 1e300;
  if (def.impure || !node.regions.empty()) return never;
  if (def.meaning) {
    const ir::Meaning meaning = ops::instantiate(def, types, node.attrs);
    return evaluation_steps(meaning) + prepared_steps * static_cast<double>(meaning.pool->size());
  }
  if (def.decompose) return graph_steps(ops::decompose(def, types, node.attrs));
  if (def.name == "constant" || def.name == "input") return 0;
  if (def.structural || !def.opaque->evaluate) return never;
  double steps = 1;
  for (const ir::ValueType* type : types)
    if (type) steps += 1e3 * static_cast<double>(value_bytes(*type).value_or(max_fold_bytes));
  return steps;
}

double graph_steps(const ir::Graph& graph) {
  double total = 0;
  for (const ir::Node& n : graph.nodes()) {
    for (const ir::ValueType& type : n.outputs) {
      const auto bytes = value_bytes(type);
      if (!bytes || *bytes > max_fold_bytes) return 1e300;
    }
    total += node_steps(ops::registry().get(n.op), ops::input_types(graph, n), n);
    if (total > max_fold_steps) break;
  }
  return total;
}

using Symbols = std::vector<std::optional<SymbolicTensor>>;

Symbols track_node(const ops::OpDef& def, const ops::InputTypes& types, const ir::AttrMap& attrs,
                   const std::vector<const SymbolicTensor*>& inputs, double& steps);

// The same through a decomposition, node by node.
Symbols track_graph(const ir::Graph& graph, const std::vector<const SymbolicTensor*>& inputs,
                    double& steps) {
  std::vector<Symbols> values(graph.node_count());
  for (size_t k = 0; k < inputs.size(); ++k)
    if (inputs[k]) values[graph.inputs()[k]] = {*inputs[k]};
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    const ir::Node& n = graph.node(id);
    if (n.op == "input") continue;
    if (const Tensor* tensor = graph.constant({id, 0})) {
      if (tensor->size() <= max_symbolic_elements) values[id] = {SymbolicTensor::from(*tensor)};
      continue;
    }
    if (!n.regions.empty()) continue;
    std::vector<const SymbolicTensor*> arguments;
    for (ir::Value v : n.inputs) {
      const bool known = v.present() && v.index < values[v.node].size() && values[v.node][v.index];
      arguments.push_back(known ? &*values[v.node][v.index] : nullptr);
    }
    values[id] = track_node(ops::registry().get(n.op), ops::input_types(graph, n), n.attrs,
                            arguments, steps);
  }
  Symbols results;
  for (const ir::GraphOutput& o : graph.outputs())
    results.push_back(o.value.index < values[o.value.node].size()
                          ? values[o.value.node][o.value.index]
                          : std::nullopt);
  return results;
}

Symbols track_node(const ops::OpDef& def, const ops::InputTypes& types, const ir::AttrMap& attrs,
                   const std::vector<const SymbolicTensor*>& inputs, double& steps) {
  if (def.meaning) return evaluate_symbolic(ops::instantiate(def, types, attrs), inputs, steps);
  const auto is_known = [](const SymbolicTensor* tensor) { return tensor != nullptr; };
  if (!def.decompose || std::none_of(inputs.begin(), inputs.end(), is_known)) return {};
  std::vector<const SymbolicTensor*> present;
  for (size_t k = 0; k < types.size(); ++k)
    if (types[k]) present.push_back(inputs[k]);
  return track_graph(ops::decompose(def, types, attrs), present, steps);
}

}  // namespace

void Facts::update() {
  for (; next_ < builder_->graph().node_count(); ++next_) derive(next_);
}

void Facts::set(ir::Value value, Fact fact) { facts_[value] = std::move(fact); }

const Fact* Facts::find(ir::Value value) const {
  const auto at = facts_.find(value);
  return at == facts_.end() ? nullptr : &at->second;
}

const Tensor* Facts::tensor(ir::Value value, bool with_assumed) const {
  if (!value.present()) return nullptr;
  if (const Tensor* constant = builder_->graph().constant(value)) return constant;
  const Fact* fact = find(value);
  if (fact == nullptr || !fact->value || (fact->assumed && !with_assumed)) return nullptr;
  return &*fact->value;
}

std::optional<SymbolicTensor> Facts::symbolic(ir::Value value) const {
  if (const Tensor* known = tensor(value, true)) {
    if (known->size() > max_symbolic_elements) return std::nullopt;
    return SymbolicTensor::from(*known);
  }
  const Fact* fact = find(value);
  return fact ? fact->symbolic : std::nullopt;
}

void Facts::derive(ir::NodeId id) {
  const ir::Node& node = builder_->graph().node(id);
  if (node.op == "input" || node.op == "constant" || node.op == "barrier") return;
  const ops::InputTypes types = ops::input_types(builder_->graph(), node);
  if (!types.empty() && types[0] && ops::keeps_constants(ops::registry().get(node.op), *types[0]))
    return;
  // Both are optional: whatever is wrong with the values shows when the graph runs, and a node
  // whose inputs are known may still have symbolic sizes.
  const auto attempt = [&](bool (Facts::*derivation)(const ir::Node&, ir::NodeId)) {
    try {
      return (this->*derivation)(node, id);
    } catch (const UserError&) {
      return false;
    }
  };
  if (!attempt(&Facts::fold)) attempt(&Facts::track);
}

bool Facts::fold(const ir::Node& node, ir::NodeId id) {
  std::vector<Tensor> inputs;
  bool assumed = false;
  double steps = 0;
  for (ir::Value v : node.inputs) {
    const Tensor* tensor = this->tensor(v, true);
    if (v.present() && tensor == nullptr) return false;
    const Fact* fact = find(v);
    assumed = assumed || (fact != nullptr && fact->assumed);
    inputs.push_back(tensor ? *tensor : Tensor{});
    steps += static_cast<double>(inputs.back().size());  // the evaluator widens what it reads
  }
  if (steps > max_fold_steps) return false;
  int64_t bytes = 0;
  for (const ir::ValueType& type : node.outputs) {
    const auto size = value_bytes(type);
    if (!size || *size > max_fold_bytes) return false;
    bytes += *size;
  }
  const ops::OpDef& def = ops::registry().get(node.op);
  const ops::InputTypes types = ops::input_types(builder_->graph(), node);
  steps += node_steps(def, types, node);
  if (steps > max_fold_steps || steps > budget_->steps || bytes > budget_->bytes) return false;
  budget_->steps -= steps;
  budget_->bytes -= bytes;
  ops::EvalOptions options;
  options.wide = false;
  std::vector<Tensor> results =
      ops::evaluate_node(def, node.attrs, types, inputs, node.regions, options);
  for (uint32_t k = 0; k < results.size() && k < node.outputs.size(); ++k)
    if (results[k].type() == node.outputs[k].dtype)
      set({id, k}, Fact{std::move(results[k]), std::nullopt, assumed});
  return true;
}

bool Facts::track(const ir::Node& node, ir::NodeId id) {
  bool small = false;
  for (const ir::ValueType& type : node.outputs) {
    const auto bytes = value_bytes(type);
    small = small || (bytes && *bytes <= max_symbolic_elements * 8);
  }
  const ops::OpDef& def = ops::registry().get(node.op);
  if (!small || budget_->symbolic_steps <= 0 || def.impure || !node.regions.empty()) return false;
  std::vector<std::optional<SymbolicTensor>> known;
  std::vector<const SymbolicTensor*> inputs;
  bool assumed = false;
  for (ir::Value v : node.inputs) {
    known.push_back(v.present() ? symbolic(v) : std::nullopt);
    const Fact* fact = find(v);
    assumed = assumed || (fact != nullptr && fact->assumed);
  }
  for (const auto& k : known) inputs.push_back(k ? &*k : nullptr);
  const ops::InputTypes types = ops::input_types(builder_->graph(), node);
  Symbols results = track_node(def, types, node.attrs, inputs, budget_->symbolic_steps);
  for (uint32_t k = 0; k < results.size(); ++k) {
    if (!results[k]) continue;
    std::optional<Tensor> constant = results[k]->constant();
    Fact fact{std::move(constant), std::nullopt, assumed};
    if (!fact.value) fact.symbolic = std::move(results[k]);
    set({id, k}, std::move(fact));
  }
  return true;
}

ir::Graph Facts::simplified(const ir::Graph& graph) const {
  ir::GraphBuilder result(graph.name());
  for (const auto& [key, value] : graph.properties()) result.set_property(key, value);
  std::vector<ir::Value> map;            // new value of output 0 of each node
  std::map<ir::Value, ir::Value> known;  // constants made for folded values
  const auto mapped = [&](ir::Value v) -> ir::Value {
    if (!v.present()) return v;
    const Fact* fact = find(v);
    if (fact == nullptr || !fact->value || fact->assumed) return {map[v.node].node, v.index};
    const auto [at, is_new] = known.try_emplace(v);
    if (is_new) at->second = result.constant(*fact->value);
    return at->second;
  };
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    const ir::Node& n = graph.node(id);
    if (n.op == "input") {
      const ir::Value input = result.input(n.name, n.outputs[0]);
      result.mutable_node(input.node).metadata = n.metadata;
      map.push_back(input);
      continue;
    }
    ir::Node copy = n;
    for (ir::Value& v : copy.inputs) v = mapped(v);
    map.push_back({result.add(std::move(copy)), 0});
  }
  for (const ir::GraphOutput& o : graph.outputs()) result.output(o.name, mapped(o.value));
  return ir::without_dead_nodes(std::move(result).finish());
}

}  // namespace tessera::onnx
