// SPDX-License-Identifier: Apache-2.0
// Canonical attributes and operand order.
#include "ops/canonical.h"

#include <algorithm>

#include "base/check.h"
#include "ops/hash.h"
#include "ops/registry.h"

namespace tessera::ops {
namespace {

// Hash of what an instance computes, from its record: the test that two attribute maps mean the
// same. Nothing where the record accepts the attributes not or has no expression.
std::optional<Hash128> meaning_hash(const OpDef& def, const InputTypes& types,
                                    const ir::AttrMap& attrs,
                                    const std::vector<std::shared_ptr<const ir::Graph>>& regions) {
  try {
    if (def.decompose) return identity_hash(decompose(def, types, attrs, regions));
    if (!def.meaning) return std::nullopt;
    const ir::Meaning meaning = instantiate(def, types, attrs);
    Hasher h;
    // Nodes of a fresh pool are numbered by construction, which the record does in one order.
    for (const sym::Expr& size : meaning.pool->sizes()) h.add(std::string_view(size.to_string()));
    for (ir::ExprId id = 0; id < meaning.pool->size(); ++id) {
      const ir::ExprNode& n = meaning.pool->node(id);
      h.add(static_cast<int64_t>(n.kind)).add(static_cast<int64_t>(n.type));
      h.add(static_cast<int64_t>(n.prim)).add(static_cast<int64_t>(n.reduction));
      h.add(static_cast<int64_t>(n.var.kind)).add(static_cast<int64_t>(n.var.number));
      h.add(static_cast<int64_t>(n.input)).add(n.bits).add(static_cast<int64_t>(n.size));
      for (ir::ExprId a : n.args) h.add(static_cast<int64_t>(a));
    }
    for (const ir::MeaningOutput& o : meaning.outputs)
      h.add(std::string_view(sym::to_string(o.shape))).add(static_cast<int64_t>(o.body.id));
    return h.finish();
  } catch (const UserError&) {
    return std::nullopt;
  }
}

// The spellings of an axis attribute that might be canonical, best first.
std::vector<ir::AttrValue> candidates(const ir::AttrValue& value, std::span<const int> ranks) {
  std::vector<ir::AttrValue> result;
  const auto shifted = [](int64_t axis, int rank) { return axis < 0 ? axis + rank : axis; };
  if (const auto* axis = std::get_if<int64_t>(&value)) {
    if (*axis < 0)
      for (int rank : ranks) result.emplace_back(shifted(*axis, rank));
  } else if (const auto* axes = std::get_if<std::vector<int64_t>>(&value)) {
    const bool plain =
        std::is_sorted(axes->begin(), axes->end()) && (axes->empty() || axes->front() >= 0);
    for (int rank : plain ? std::span<const int>{} : ranks) {
      std::vector<int64_t> list = *axes;
      for (int64_t& axis : list) axis = shifted(axis, rank);
      std::vector<int64_t> sorted = list;
      std::sort(sorted.begin(), sorted.end());
      result.emplace_back(std::move(sorted));
      result.emplace_back(std::move(list));
    }
  }
  return result;
}

bool same_value(const ir::AttrValue& a, const ir::AttrValue& b) {
  if (ir::operator_equal(a, b)) return true;
  const auto* real = std::get_if<double>(&a);
  const auto* integer = std::get_if<int64_t>(&b);
  return real && integer && *real == static_cast<double>(*integer);
}

}  // namespace

ir::AttrMap canonical_attributes(const ir::Graph& graph, const ir::Node& node) {
  const OpDef* def = registry().find(node.op);
  if (def == nullptr) return node.attrs;
  ir::AttrMap attrs = node.attrs;
  const InputTypes types = input_types(graph, node);
  std::vector<int> ranks;
  if (!types.empty() && types[0]) ranks.push_back(types[0]->rank());
  if (!node.outputs.empty()) ranks.push_back(node.outputs[0].rank());
  for (auto& [name, value] : attrs) {
    if (name != "axis" && name != "axes") continue;
    const auto options = candidates(value, ranks);
    if (options.empty()) continue;
    const auto wanted = meaning_hash(*def, types, attrs, node.regions);
    if (!wanted) continue;
    const ir::AttrValue original = value;
    for (const ir::AttrValue& option : options) {
      value = option;
      if (meaning_hash(*def, types, attrs, node.regions) == wanted) break;
      value = original;
    }
  }
  for (const AttrDef& a : def->attrs) {
    const auto at = attrs.find(a.name);
    if (at != attrs.end() && a.default_value && same_value(*a.default_value, at->second))
      attrs.erase(at);
  }
  return attrs;
}

ir::Graph canonicalize(const ir::Graph& source) {
  const ir::Graph graph = ir::without_dead_nodes(source);
  ir::GraphBuilder builder(graph.name());
  for (const auto& [key, value] : graph.properties()) builder.set_property(key, value);
  std::vector<Hash128> hashes(graph.node_count());  // of the canonical nodes
  const auto hash_of = [&](ir::Value v) {
    Hasher h;
    if (v.present()) h.add(hashes[v.node]).add(static_cast<int64_t>(v.index));
    return h.finish();
  };
  int64_t input = 0;
  // Node numbers stay: every node of `graph` becomes exactly one node.
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    ir::Node node = graph.node(id);
    if (node.op == "input") {
      builder.input(node.name, node.outputs[0]);
      builder.mutable_node(id).metadata = node.metadata;
      hashes[id] = Hasher().add("input").add(input++).add(label_hash(node)).finish();
      continue;
    }
    node.attrs = canonical_attributes(graph, node);
    for (auto& region : node.regions)
      region = std::make_shared<const ir::Graph>(canonicalize(*region));
    const OpDef* def = registry().find(node.op);
    const bool commutes =
        def && node.inputs.size() == 2 &&
        std::find(def->traits.begin(), def->traits.end(), Trait::commutative) != def->traits.end();
    if (commutes && hash_of(node.inputs[1]) < hash_of(node.inputs[0]))
      std::swap(node.inputs[0], node.inputs[1]);
    Hasher h;
    h.add(label_hash(node));
    for (ir::Value v : node.inputs) h.add(hash_of(v));
    hashes[id] = h.finish();
    const ir::NodeId made = builder.add(std::move(node));
    TESSERA_CHECK(made == id);
  }
  for (const ir::GraphOutput& o : graph.outputs()) builder.output(o.name, o.value);
  return std::move(builder).finish();
}

}  // namespace tessera::ops
