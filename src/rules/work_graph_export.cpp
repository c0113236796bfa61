// SPDX-License-Identifier: Apache-2.0
// Orders and questions over the live nodes of a WorkGraph.
#include "base/check.h"
#include "rules/work_graph.h"

namespace tessera::rules {

std::vector<ir::NodeId> WorkGraph::topological_order() const {
  std::vector<ir::NodeId> order;
  order.reserve(live_);
  std::vector<uint8_t> state(slots_.size(), 0);  // 0 unseen, 1 open, 2 done
  std::vector<std::pair<ir::NodeId, size_t>> stack;
  const auto visit = [&](ir::NodeId root) {
    if (state[root] != 0) return;
    state[root] = 1;
    stack.push_back({root, 0});
    while (!stack.empty()) {
      auto& [id, next] = stack.back();
      const auto& inputs = slots_[id].inputs;
      if (next == inputs.size()) {
        state[id] = 2;
        order.push_back(id);
        stack.pop_back();
        continue;
      }
      const ir::Value v = inputs[next++];
      if (!v.present()) continue;
      TESSERA_CHECK(state[v.node] != 1, "the graph has a cycle through node {}", v.node);
      if (state[v.node] == 0) {
        state[v.node] = 1;
        stack.push_back({v.node, 0});
      }
    }
  };
  for (ir::NodeId id : graph_inputs_) visit(id);
  for (ir::NodeId id = 0; id < slots_.size(); ++id)
    if (slots_[id].alive) visit(id);
  return order;
}

bool WorkGraph::depends_on(ir::NodeId from, ir::NodeId target) const {
  if (from == target) return true;
  std::vector<bool> seen(slots_.size(), false);
  std::vector<ir::NodeId> work{from};
  seen[from] = true;
  while (!work.empty()) {
    const ir::NodeId at = work.back();
    work.pop_back();
    for (ir::Value v : slots_[at].inputs) {
      if (!v.present() || seen[v.node]) continue;
      if (v.node == target) return true;
      seen[v.node] = true;
      work.push_back(v.node);
    }
  }
  return false;
}

ir::Graph WorkGraph::to_graph(const std::vector<ir::GraphOutput>& outputs) const {
  ir::GraphBuilder builder(name_);
  for (const auto& [key, value] : properties_) builder.set_property(key, value);
  std::vector<ir::NodeId> map(slots_.size(), ir::no_node);
  for (ir::NodeId id : graph_inputs_) {
    const ir::Node& n = *slots_[id].node;
    map[id] = builder.input(n.name, n.outputs[0]).node;
    builder.mutable_node(map[id]).metadata = n.metadata;
  }
  for (ir::NodeId id : topological_order()) {
    if (map[id] != ir::no_node) continue;
    ir::Node copy = *slots_[id].node;
    for (ir::Value v : slots_[id].inputs)
      copy.inputs.push_back(v.present() ? ir::Value{map[v.node], v.index} : v);
    map[id] = builder.add(std::move(copy));
  }
  for (const ir::GraphOutput& o : outputs)
    builder.output(o.name, {map[o.value.node], o.value.index});
  return std::move(builder).finish();
}

}  // namespace tessera::rules
