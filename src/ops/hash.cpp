// SPDX-License-Identifier: Apache-2.0
// Graphs are serialized into a canonical byte stream: nodes numbered in post-order from the
// outputs, so that neither names nor the arena's order take part.
#include "ops/hash.h"

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "base/check.h"
#include "ops/op_def.h"
#include "ops/registry.h"

namespace tessera::ops {
namespace {

enum class Kind : uint8_t { identity, computation };

void add_type(Hasher& h, const ir::ValueType& type) {
  h.add(static_cast<int64_t>(type.opaque));
  if (type.opaque) return;
  h.add(static_cast<int64_t>(type.dtype)).add(static_cast<int64_t>(type.shape.size()));
  for (const sym::Expr& d : type.shape) h.add(std::string_view(d.to_string()));
}

// The value as the record's kind has it: 2 for a real is 2.0, known dims are ints.
ir::AttrValue normalized(const ir::AttrValue& value, std::optional<ir::AttrKind> kind) {
  if (const auto* dims = std::get_if<ir::Dims>(&value))
    if (auto known = sym::constants(*dims)) return *known;
  if (const auto* integer = std::get_if<int64_t>(&value); integer && kind == ir::AttrKind::real)
    return static_cast<double>(*integer);
  // An empty list has no kind of its own.
  const bool empty = std::visit(
      [](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::vector<double>> ||
                      std::is_same_v<T, std::vector<std::string>>)
          return v.empty();
        else return false;
      },
      value);
  return empty ? ir::AttrValue(std::vector<int64_t>{}) : value;
}

bool is_weight(const ir::Node& node) {
  if (node.op != "constant") return false;
  const Tensor& tensor = std::get<Tensor>(node.attrs.at("value"));
  return is_float(tensor.type()) && tensor.size() > 1;
}

Hash128 graph_hash(const ir::Graph& graph, Kind kind);

Hash128 label(const ir::Node& node, Kind kind) {
  Hasher h;
  h.add(node.op).add(static_cast<int64_t>(node.outputs.size()));
  for (const ir::ValueType& type : node.outputs) add_type(h, type);
  if (kind == Kind::computation && is_weight(node)) return h.finish();
  const OpDef* def = registry().find(node.op);
  h.add(static_cast<int64_t>(node.attrs.size()));
  for (const auto& [name, value] : node.attrs) {
    std::optional<ir::AttrKind> wanted;
    if (def)
      for (const AttrDef& a : def->attrs)
        if (a.name == name) wanted = a.kind;
    h.add(name);
    ir::add_to_hash(h, normalized(value, wanted));
  }
  h.add(static_cast<int64_t>(node.regions.size()));
  // A region's inputs are bound by position, so its own identity counts in both hashes.
  for (const auto& region : node.regions) h.add(graph_hash(*region, Kind::identity));
  return h.finish();
}

bool has_trait(const ir::Node& node, Trait trait) {
  const OpDef* def = registry().find(node.op);
  return def && std::find(def->traits.begin(), def->traits.end(), trait) != def->traits.end();
}

// Canonical operand lists. For the identity they are the node's own; for the computation, chains
// of an associative and commutative operator are one n-ary node with sorted operands.
class Operands {
 public:
  Operands(const ir::Graph& graph, Kind kind) : graph_(graph), kind_(kind) {
    if (kind == Kind::computation) uses_ = graph.use_counts();
    operands_.resize(graph.node_count());
    hashes_.resize(graph.node_count());
    size_t input = 0;
    for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
      const ir::Node& node = graph.node(id);
      Hasher h;
      h.add(label(node, kind));
      if (node.op == "input") {
        if (kind == Kind::identity) h.add(static_cast<int64_t>(input));
        ++input;
      }
      for (ir::Value v : operands_[id] = list(id)) h.add(value_hash(v));
      hashes_[id] = h.finish();
    }
  }

  const std::vector<ir::Value>& of(ir::NodeId id) const { return operands_[id]; }
  std::vector<Hash128> take_hashes() && { return std::move(hashes_); }

 private:
  Hash128 value_hash(ir::Value v) const {
    if (!v.present()) return {};
    return Hasher().add(hashes_[v.node]).add(static_cast<int64_t>(v.index)).finish();
  }

  std::vector<ir::Value> list(ir::NodeId id) const {
    const ir::Node& node = graph_.node(id);
    if (kind_ == Kind::identity || !has_trait(node, Trait::commutative)) {
      std::vector<ir::Value> stated = node.inputs;  // absent ones at the end say nothing
      while (!stated.empty() && !stated.back().present()) stated.pop_back();
      return stated;
    }
    std::vector<ir::Value> result;
    for (ir::Value v : node.inputs) {
      const bool same = v.present() && graph_.node(v.node).op == node.op && uses_[v.node] == 1 &&
                        has_trait(node, Trait::associative) && graph_.node(v.node).attrs.empty() &&
                        node.attrs.empty() && graph_.type(v).dtype == node.outputs[0].dtype;
      if (same) result.insert(result.end(), operands_[v.node].begin(), operands_[v.node].end());
      else result.push_back(v);
    }
    std::stable_sort(result.begin(), result.end(),
                     [&](ir::Value a, ir::Value b) { return value_hash(a) < value_hash(b); });
    return result;
  }

  const ir::Graph& graph_;
  Kind kind_;
  std::vector<uint32_t> uses_;
  std::vector<std::vector<ir::Value>> operands_;
  std::vector<Hash128> hashes_;
};

Hash128 graph_hash(const ir::Graph& graph, Kind kind) {
  const Operands operands(graph, kind);
  Hasher h;
  h.add(hash_version).add(static_cast<int64_t>(kind));
  std::unordered_map<ir::NodeId, int64_t> number;
  if (kind == Kind::identity) {
    h.add(static_cast<int64_t>(graph.inputs().size()));
    for (ir::NodeId id : graph.inputs()) {
      add_type(h, graph.node(id).outputs[0]);
      number.emplace(id, static_cast<int64_t>(number.size()));
    }
  }
  // Post-order with an explicit stack: graphs are deep.
  struct Frame {
    ir::NodeId id;
    size_t next = 0;
  };
  std::vector<Frame> stack;
  const auto visit = [&](ir::NodeId root) {
    stack.push_back({root});
    while (!stack.empty()) {
      Frame& frame = stack.back();
      const auto& list = operands.of(frame.id);
      if (frame.next == 0 && number.contains(frame.id)) {
        stack.pop_back();
        continue;
      }
      if (frame.next < list.size()) {
        const ir::Value v = list[frame.next++];
        if (v.present() && !number.contains(v.node)) stack.push_back({v.node});
        continue;
      }
      h.add(label(graph.node(frame.id), kind)).add(static_cast<int64_t>(list.size()));
      for (ir::Value v : list)
        h.add(v.present() ? number.at(v.node) : int64_t{-1}).add(static_cast<int64_t>(v.index));
      number.emplace(frame.id, static_cast<int64_t>(number.size()));
      stack.pop_back();
    }
  };
  for (const ir::GraphOutput& o : graph.outputs()) {
    visit(o.value.node);
    h.add("output").add(number.at(o.value.node)).add(static_cast<int64_t>(o.value.index));
  }
  return h.finish();
}

}  // namespace

Hash128 identity_hash(const ir::Graph& graph) { return graph_hash(graph, Kind::identity); }
Hash128 computation_hash(const ir::Graph& graph) { return graph_hash(graph, Kind::computation); }
Hash128 label_hash(const ir::Node& node) { return label(node, Kind::identity); }

std::vector<Hash128> node_hashes(const ir::Graph& graph) {
  return Operands(graph, Kind::identity).take_hashes();
}

}  // namespace tessera::ops
