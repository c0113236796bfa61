// SPDX-License-Identifier: Apache-2.0
// Construction of graphs.
#include "ir/graph.h"

#include "base/check.h"

namespace tessera::ir {

std::string ValueType::to_string() const {
  if (opaque) return "opaque";
  return fmt::format("{}{}", tessera::to_string(dtype), sym::to_string(shape));
}

Shape ValueType::concrete_shape() const {
  TESSERA_USER_CHECK(!opaque, "the shape of an uninterpreted value is unknown");
  auto values = sym::constants(shape);
  TESSERA_USER_CHECK(values.has_value(),
                     "the shape {} has unbound dimensions; bind them with --bind NAME=INT",
                     sym::to_string(shape));
  return *values;
}

std::vector<uint32_t> Graph::use_counts() const {
  std::vector<uint32_t> counts(nodes_.size(), 0);
  for (const Node& n : nodes_)
    for (Value v : n.inputs)
      if (v.present()) ++counts[v.node];
  for (const GraphOutput& o : outputs_) ++counts[o.value.node];
  return counts;
}

const Tensor* Graph::constant(Value v) const {
  if (!v.present() || nodes_[v.node].op != "constant") return nullptr;
  return &std::get<Tensor>(nodes_[v.node].attrs.at("value"));
}

Value GraphBuilder::input(std::string name, ValueType type) {
  Node n;
  n.op = "input";
  n.name = std::move(name);
  n.outputs = {std::move(type)};
  const NodeId id = add(std::move(n));
  graph_.inputs_.push_back(id);
  return {id, 0};
}

Value GraphBuilder::constant(Tensor tensor, std::string name) {
  Node n;
  n.op = "constant";
  n.name = std::move(name);
  n.outputs = {{tensor.type(), Dims(tensor.shape().begin(), tensor.shape().end())}};
  n.attrs.emplace("value", std::move(tensor));
  return {add(std::move(n)), 0};
}

NodeId GraphBuilder::add(Node node) {
  const auto id = static_cast<NodeId>(graph_.nodes_.size());
  for (Value v : node.inputs)
    TESSERA_CHECK(!v.present() || (v.node < id && v.index < graph_.nodes_[v.node].outputs.size()),
                  "node '{}' ({}) uses a value that does not exist", node.name, node.op);
  graph_.nodes_.push_back(std::move(node));
  return id;
}

void GraphBuilder::output(std::string name, Value value) {
  TESSERA_CHECK(value.present() && value.node < graph_.nodes_.size());
  graph_.outputs_.push_back({std::move(name), value});
}

void GraphBuilder::set_property(std::string key, std::string value) {
  graph_.properties_[std::move(key)] = std::move(value);
}

Graph GraphBuilder::finish() && { return std::move(graph_); }

namespace {

std::vector<Value> remap(const std::vector<Value>& inputs, const std::vector<NodeId>& map) {
  std::vector<Value> mapped = inputs;
  for (Value& v : mapped)
    if (v.present()) v.node = map[v.node];
  return mapped;
}

}  // namespace

Graph without_dead_nodes(const Graph& graph) {
  std::vector<bool> live(graph.node_count(), false);
  for (const GraphOutput& o : graph.outputs()) live[o.value.node] = true;
  for (NodeId id : graph.inputs()) live[id] = true;
  for (size_t i = graph.node_count(); i-- > 0;)
    if (live[i])
      for (Value v : graph.node(i).inputs)
        if (v.present()) live[v.node] = true;
  GraphBuilder builder(graph.name());
  for (const auto& [key, value] : graph.properties()) builder.set_property(key, value);
  std::vector<NodeId> map(graph.node_count(), no_node);
  for (NodeId i = 0; i < graph.node_count(); ++i) {
    if (!live[i]) continue;
    const Node& n = graph.node(i);
    if (n.op == "input") {
      map[i] = builder.input(n.name, n.outputs[0]).node;
      builder.mutable_node(map[i]).metadata = n.metadata;
      continue;
    }
    Node copy = n;
    copy.inputs = remap(n.inputs, map);
    map[i] = builder.add(std::move(copy));
  }
  for (const GraphOutput& o : graph.outputs())
    builder.output(o.name, {map[o.value.node], o.value.index});
  return std::move(builder).finish();
}

std::vector<Value> inline_graph(GraphBuilder& builder, const Graph& source,
                                std::span<const Value> arguments) {
  TESSERA_CHECK(arguments.size() == source.inputs().size());
  std::vector<Value> first(source.node_count());  // value of output 0 of each source node
  for (size_t i = 0; i < arguments.size(); ++i) first[source.inputs()[i]] = arguments[i];
  auto mapped = [&](Value v) -> Value {
    if (!v.present()) return v;
    if (source.node(v.node).op == "input") return first[v.node];
    return {first[v.node].node, v.index};
  };
  for (NodeId i = 0; i < source.node_count(); ++i) {
    if (source.node(i).op == "input") continue;
    Node copy = source.node(i);
    for (Value& v : copy.inputs) v = mapped(v);
    first[i] = {builder.add(std::move(copy)), 0};
  }
  std::vector<Value> results;
  for (const GraphOutput& o : source.outputs()) results.push_back(mapped(o.value));
  return results;
}

}  // namespace tessera::ir
