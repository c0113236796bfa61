// SPDX-License-Identifier: Apache-2.0
// Tensor programs as immutable graphs of typed values.
//
// A graph is an arena of nodes in topological order. A value is (node, k): operators have any
// number of outputs. Graphs are made by GraphBuilder and never change; passes are functions from
// Graph to Graph. A region (the body of `scan`) is a closed graph: what it uses of its
// surroundings comes in through its inputs.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/attribute.h"

namespace tessera::ir {

/// Element type and shape. An opaque type is that of a value nobody can interpret (the result of an
/// unknown operator): its dtype and shape mean nothing.
struct ValueType {
  DType dtype = DType::f32;
  Dims shape;
  bool opaque = false;

  int rank() const { return static_cast<int>(shape.size()); }
  bool operator==(const ValueType&) const = default;
  std::string to_string() const;  ///< "f32[N,3]", "opaque"
  /// The concrete shape; throws UserError when a dimension is symbolic.
  Shape concrete_shape() const;
};

using NodeId = uint32_t;
inline constexpr NodeId no_node = ~NodeId{0};

/// Output `index` of node `node`; a default-constructed Value is an absent optional input.
struct Value {
  NodeId node = no_node;
  uint32_t index = 0;
  bool present() const { return node != no_node; }
  auto operator<=>(const Value&) const = default;
};

class Graph;

struct Node {
  std::string op;  ///< name of the operator record; "input" and "constant" have records too
  std::vector<Value> inputs;
  AttrMap attrs;
  std::vector<ValueType> outputs;
  std::vector<std::shared_ptr<const Graph>> regions;  // immutable, hence safely shared by copies
  /// For people: the name in the source model. Takes part in no hash and no comparison.
  std::string name;
  /// For people: why the node exists (rules applied, source nodes); exported as metadata.
  std::map<std::string, std::string> metadata;
};

struct GraphOutput {
  std::string name;
  Value value;
};

class Graph {
 public:
  const std::string& name() const { return name_; }
  size_t node_count() const { return nodes_.size(); }
  const Node& node(NodeId id) const { return nodes_[id]; }
  const std::vector<Node>& nodes() const { return nodes_; }
  /// Nodes with op "input", in the order of the signature; Node::name is the input's name.
  const std::vector<NodeId>& inputs() const { return inputs_; }
  const std::vector<GraphOutput>& outputs() const { return outputs_; }
  const ValueType& type(Value v) const { return nodes_[v.node].outputs[v.index]; }
  /// Free-form properties of the model (opset, producer …), kept by the exporter.
  const std::map<std::string, std::string>& properties() const { return properties_; }

  /// For every node the number of uses of its outputs, graph outputs included.
  std::vector<uint32_t> use_counts() const;
  /// The tensor of a "constant" node, or null.
  const Tensor* constant(Value v) const;

 private:
  friend class GraphBuilder;
  std::string name_;
  std::vector<Node> nodes_;
  std::vector<NodeId> inputs_;
  std::vector<GraphOutput> outputs_;
  std::map<std::string, std::string> properties_;
};

/// Builds a graph node by node. Types are the caller's: ops::Builder infers them from the records.
class GraphBuilder {
 public:
  explicit GraphBuilder(std::string name = "main") { graph_.name_ = std::move(name); }

  Value input(std::string name, ValueType type);
  Value constant(Tensor tensor, std::string name = {});
  /// REQUIRES: inputs refer to nodes that are already there. Returns the node.
  NodeId add(Node node);
  void output(std::string name, Value value);
  void set_property(std::string key, std::string value);
  void set_name(std::string name) { graph_.name_ = std::move(name); }

  const Graph& graph() const { return graph_; }
  const ValueType& type(Value v) const { return graph_.type(v); }
  const Node& node(NodeId id) const { return graph_.nodes_[id]; }
  Node& mutable_node(NodeId id) { return graph_.nodes_[id]; }

  Graph finish() &&;

 private:
  Graph graph_;
};

/// Copies `graph` without nodes that no output needs; inputs stay.
Graph without_dead_nodes(const Graph& graph);

/// Appends the nodes of `source` (its inputs replaced by `arguments`) to `builder`; returns the
/// values of its outputs.
std::vector<Value> inline_graph(GraphBuilder& builder, const Graph& source,
                                std::span<const Value> arguments);

}  // namespace tessera::ir
