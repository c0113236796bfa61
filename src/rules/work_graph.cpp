// SPDX-License-Identifier: Apache-2.0
// Hash-consed nodes with use lists.
#include "rules/work_graph.h"

#include <algorithm>

#include "base/check.h"
#include "ops/evaluate.h"
#include "ops/registry.h"

namespace tessera::rules {
namespace {

uint64_t hash_of(const ir::Node& node) {
  Hasher hasher;
  hasher.add(node.op);
  for (const auto& [name, value] : node.attrs) {
    hasher.add(name);
    ir::add_to_quick_hash(hasher, value);
  }
  // Regions are compared by identity: what is one object is surely equal.
  for (const auto& region : node.regions)
    hasher.add(static_cast<int64_t>(reinterpret_cast<uintptr_t>(region.get())));
  return hasher.finish().low;
}

uint64_t key_of(uint64_t attrs_hash, const std::vector<ir::Value>& inputs) {
  uint64_t key = attrs_hash;
  for (ir::Value v : inputs) key = hash_combine(key, (uint64_t{v.node} << 8) ^ v.index);
  return key;
}

bool equal_nodes(const ir::Node& a, const ir::Node& b) {
  if (a.op != b.op || a.attrs.size() != b.attrs.size() || a.regions != b.regions ||
      a.outputs != b.outputs)
    return false;
  return std::equal(a.attrs.begin(), a.attrs.end(), b.attrs.begin(),
                    [](const auto& x, const auto& y) {
                      return x.first == y.first && ir::operator_equal(x.second, y.second);
                    });
}

bool may_merge(const ops::OpDef& def) { return !def.impure && def.name != "input"; }

}  // namespace

WorkGraph::WorkGraph(const ir::Graph& graph, const WorkOptions& options)
    : options_(options), name_(graph.name()), properties_(graph.properties()) {
  std::vector<std::vector<ir::Value>> map(graph.node_count());
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    const ir::Node& source = graph.node(id);
    Slot slot;
    auto copy = std::make_shared<ir::Node>(source);
    copy->inputs.clear();
    slot.def = &ops::registry().get(source.op);
    for (ir::Value v : source.inputs) slot.inputs.push_back(v.present() ? map[v.node][v.index] : v);
    slot.attrs_hash = hash_of(source);
    slot.node = std::move(copy);
    ir::NodeId mine;
    const auto folded = fold(*slot.node, *slot.def, slot.inputs);
    const bool is_input = source.op == "input";
    if (folded) {
      mine = folded->node;
      if (!source.name.empty() && slots_[mine].node->name.empty())
        annotate(mine, source.name, "fold-constants", "");
    } else if (mine = find_equal(slot); mine != ir::no_node) {
      ++merged_;
    } else {
      mine = append(std::move(slot));
    }
    if (is_input) graph_inputs_.push_back(mine);
    for (uint32_t k = 0; k < source.outputs.size(); ++k) map[id].push_back({mine, k});
  }
  for (const ir::GraphOutput& o : graph.outputs()) {
    results_.push_back({o.name, map[o.value.node][o.value.index]});
    ++slots_[results_.back().value.node].results;
  }
  for (ir::NodeId id = static_cast<ir::NodeId>(slots_.size()); id-- > 0;) remove_if_dead(id);
  changed_.clear();
}

const Tensor* WorkGraph::tensor(ir::Value v) const {
  if (!v.present() || slots_[v.node].def->name != "constant") return nullptr;
  return &std::get<Tensor>(slots_[v.node].node->attrs.find("value")->second);
}

ir::NodeId WorkGraph::append(Slot slot) {
  const auto id = static_cast<ir::NodeId>(slots_.size());
  slot.alive = true;
  bool constant = may_merge(*slot.def) && slot.def->name != "barrier";
  for (const ir::ValueType& t : slot.node->outputs) constant &= !t.opaque;
  for (ir::Value v : slot.inputs) {
    if (!v.present()) continue;
    constant &= slots_[v.node].constant;
    slots_[v.node].users.push_back(id);
  }
  slot.constant = constant;
  slots_.push_back(std::move(slot));
  index(id);
  ++live_;
  changed_.push_back(id);
  return id;
}

ir::NodeId WorkGraph::find_equal(const Slot& slot) const {
  if (!options_.merge_equal || !may_merge(*slot.def)) return ir::no_node;
  const auto [first, last] = index_.equal_range(key_of(slot.attrs_hash, slot.inputs));
  ir::NodeId best = ir::no_node;
  for (auto it = first; it != last; ++it)
    if (slots_[it->second].inputs == slot.inputs &&
        equal_nodes(*slots_[it->second].node, *slot.node))
      best = std::min(best, it->second);
  return best;
}

void WorkGraph::index(ir::NodeId id) {
  Slot& s = slots_[id];
  s.key = key_of(s.attrs_hash, s.inputs);
  index_.emplace(s.key, id);
}

void WorkGraph::unindex(ir::NodeId id) {
  const auto [first, last] = index_.equal_range(slots_[id].key);
  for (auto it = first; it != last; ++it)
    if (it->second == id) {
      index_.erase(it);
      return;
    }
}

// Small results of constants are computed at once, so that patterns can look at their values.
std::optional<ir::Value> WorkGraph::fold(const ir::Node& node, const ops::OpDef& def,
                                         const std::vector<ir::Value>& inputs) {
  if (!options_.fold_constants || def.structural || def.impure || node.outputs.size() != 1)
    return std::nullopt;
  const ir::ValueType& type = node.outputs[0];
  if (type.opaque) return std::nullopt;
  const auto shape = sym::constants(type.shape);
  const auto count = shape ? element_count(*shape) : std::nullopt;
  if (!count || *count > options_.eager_elements) return std::nullopt;
  if (!inputs.empty() && inputs[0].present() && ops::keeps_constants(def, this->type(inputs[0])))
    return std::nullopt;
  std::vector<Tensor> tensors;
  ops::InputTypes types;
  for (ir::Value v : inputs) {
    const Tensor* t = tensor(v);
    if (v.present() && (!t || t->size() > 64 * options_.eager_elements)) return std::nullopt;
    tensors.push_back(t ? *t : Tensor{});
    types.push_back(t ? &this->type(v) : nullptr);
  }
  try {
    const ops::EvalOptions as_typed{.tier = ops::Tier::loops, .wide = false};
    std::vector<Tensor> values =
        ops::evaluate_node(def, node.attrs, types, tensors, node.regions, as_typed);
    ++folded_;
    return add_constant(values.at(0).converted(type.dtype));
  } catch (const UserError&) {
    return std::nullopt;  // the operator fails on these values: leave that to the run
  }
}

ir::NodeId WorkGraph::add(std::string_view op, std::vector<ir::Value> inputs, ir::AttrMap attrs,
                          std::vector<std::shared_ptr<const ir::Graph>> regions) {
  while (!inputs.empty() && !inputs.back().present()) inputs.pop_back();
  Slot slot;
  slot.def = &ops::registry().get(op);
  auto node = std::make_shared<ir::Node>();
  node->op = op;
  ops::InputTypes types;
  std::vector<const Tensor*> values;
  for (ir::Value v : inputs) {
    types.push_back(v.present() ? &type(v) : nullptr);
    values.push_back(tensor(v));
  }
  ops::check_signature(*slot.def, inputs.size(), attrs);
  node->outputs = ops::infer(*slot.def, types, attrs, regions, values);
  node->attrs = std::move(attrs);
  node->regions = std::move(regions);
  if (const auto folded = fold(*node, *slot.def, inputs)) return folded->node;
  slot.attrs_hash = hash_of(*node);
  slot.node = std::move(node);
  slot.inputs = std::move(inputs);
  if (const ir::NodeId same = find_equal(slot); same != ir::no_node) return same;
  return append(std::move(slot));
}

ir::Value WorkGraph::add_constant(Tensor tensor) {
  Slot slot;
  slot.def = &ops::registry().get("constant");
  auto node = std::make_shared<ir::Node>();
  node->op = "constant";
  node->outputs = {{tensor.type(), ir::Dims(tensor.shape().begin(), tensor.shape().end())}};
  node->attrs.emplace("value", std::move(tensor));
  slot.attrs_hash = hash_of(*node);
  slot.node = std::move(node);
  if (const ir::NodeId same = find_equal(slot); same != ir::no_node) return {same, 0};
  return {append(std::move(slot)), 0};
}

ir::Value WorkGraph::add_scalar(double value, DType type) {
  Tensor t(type, {});
  if (is_float(type)) t.set_float(0, value);
  else t.set_integer(0, static_cast<int64_t>(value));
  return add_constant(std::move(t));
}

void WorkGraph::drop_user(ir::NodeId of, ir::NodeId user) {
  auto& users = slots_[of].users;
  const auto it = std::find(users.begin(), users.end(), user);
  TESSERA_CHECK(it != users.end());
  users.erase(it);
}

void WorkGraph::remove_if_dead(ir::NodeId id) {
  std::vector<ir::NodeId> work{id};
  while (!work.empty()) {
    const ir::NodeId at = work.back();
    work.pop_back();
    Slot& s = slots_[at];
    if (!s.alive || use_count(at) != 0 || s.def->name == "input") continue;
    unindex(at);
    s.alive = false;
    --live_;
    for (ir::Value v : s.inputs) {
      if (!v.present()) continue;
      drop_user(v.node, at);
      work.push_back(v.node);
    }
  }
}

void WorkGraph::replace(ir::Value from, ir::Value to) {
  std::vector<std::pair<ir::Value, ir::Value>> work{{from, to}};
  std::map<ir::Value, ir::Value> forwarded;  // a target may itself be merged while it waits
  while (!work.empty()) {
    auto [old_value, new_value] = work.back();
    work.pop_back();
    for (auto it = forwarded.find(new_value); it != forwarded.end(); it = forwarded.find(new_value))
      new_value = it->second;
    if (old_value == new_value || !slots_[old_value.node].alive) continue;
    forwarded[old_value] = new_value;
    for (ir::GraphOutput& o : results_)
      if (o.value == old_value) {
        o.value = new_value;
        --slots_[old_value.node].results;
        ++slots_[new_value.node].results;
      }
    std::vector<ir::NodeId> users = slots_[old_value.node].users;
    std::sort(users.begin(), users.end());
    users.erase(std::unique(users.begin(), users.end()), users.end());
    for (ir::NodeId user : users) {
      bool touched = false;
      for (ir::Value& v : slots_[user].inputs)
        if (v == old_value) {
          if (!touched) unindex(user);
          touched = true;
          v = new_value;
          drop_user(old_value.node, user);
          slots_[new_value.node].users.push_back(user);
        }
      if (!touched) continue;
      changed_.push_back(user);
      const ir::NodeId same = find_equal(slots_[user]);
      index(user);
      if (same == ir::no_node || same == user) continue;
      ++merged_;
      for (uint32_t k = 0; k < slots_[user].node->outputs.size(); ++k)
        work.push_back({{user, k}, {same, k}});
    }
    remove_if_dead(old_value.node);
  }
}

void WorkGraph::roll_back(size_t mark) {
  while (slots_.size() > mark) {
    const auto id = static_cast<ir::NodeId>(slots_.size() - 1);
    Slot& s = slots_.back();
    if (s.alive) {
      TESSERA_CHECK(use_count(id) == 0, "a node that is forgotten is in use");
      unindex(id);
      for (ir::Value v : s.inputs)
        if (v.present()) drop_user(v.node, id);
      --live_;
    }
    slots_.pop_back();
  }
  std::erase_if(changed_, [&](ir::NodeId id) { return id >= mark; });
}

void WorkGraph::annotate(ir::NodeId id, const std::string& name, const std::string& rule,
                         const std::string& sources) {
  auto copy = std::make_shared<ir::Node>(*slots_[id].node);
  if (copy->name.empty()) copy->name = name;
  std::string& rules = copy->metadata["tessera.rules"];
  if (rules.find(rule) == std::string::npos) rules += (rules.empty() ? "" : ",") + rule;
  if (!sources.empty() && !copy->metadata.contains("tessera.sources"))
    copy->metadata["tessera.sources"] = sources;
  slots_[id].node = std::move(copy);
}

std::vector<ir::NodeId> WorkGraph::take_changed() {
  std::vector<ir::NodeId> result;
  result.swap(changed_);
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  std::erase_if(result, [&](ir::NodeId id) { return !slots_[id].alive; });
  return result;
}

std::map<std::string, int> WorkGraph::counts() const {
  std::map<std::string, int> result;
  if (merged_) result["common-subexpression"] = merged_;
  if (folded_) result["fold-constants"] = folded_;
  return result;
}

}  // namespace tessera::rules
