// SPDX-License-Identifier: Apache-2.0
// Kernels by fusion, and their roofline times.
#include "cost/cost.h"

#include <algorithm>
#include <set>

#include "base/hash.h"

namespace tessera::cost {
namespace {

struct Kernel {
  double flop_seconds = 0;
  double in_bytes = 0, out_bytes = 0;
  WorkKind kind = WorkKind::view;  ///< the heaviest inside
};

// The share of the peak that a contraction reaches grows with its reduction length (short ones
// spend their time loading), from depthwise convolutions at 10 % to 75 %.
double efficiency(const Work& w) {
  if (w.kind == WorkKind::contraction) return 0.75 * (w.reduction / (w.reduction + 32));
  return 0.2;
}

class Fusion {
 public:
  Fusion(const std::vector<CostNode>& nodes, const std::vector<const Work*>& work,
         const std::vector<bool>& constant)
      : nodes_(nodes),
        work_(work),
        constant_(constant),
        parent_(nodes.size()),
        kind_(nodes.size()),
        uses_(nodes.size(), 0),
        source_(nodes.size()) {
    for (size_t i = 0; i < nodes.size(); ++i) {
      parent_[i] = i;
      source_[i] = i;
      kind_[i] = work[i] ? work[i]->kind : WorkKind::other;
      if (nodes[i].is_result) ++uses_[i];
      for (size_t k = 0; k < nodes[i].inputs.size(); ++k) {  // x·x uses x once
        const ir::Value v = nodes[i].inputs[k];
        const auto end = nodes[i].inputs.begin() + static_cast<long>(k);
        if (v.present() && std::find(nodes[i].inputs.begin(), end, v) == end) ++uses_[v.node];
      }
    }
    for (size_t i = 0; i < nodes.size(); ++i)  // a view is its operand
      if (runs(i) && kind_[i] == WorkKind::view && nodes[i].inputs.size() == 1)
        source_[i] = source_[nodes[i].inputs[0].node];
  }

  bool runs(size_t i) const { return work_[i] != nullptr && !constant_[i]; }
  bool is_view(size_t i) const { return source_[i] != i; }
  size_t source(size_t i) const { return source_[i]; }

  void fuse() {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (!runs(i) || is_view(i)) continue;
      for (ir::Value v : nodes_[i].inputs) {
        if (!v.present() || constant_[v.node]) continue;
        const size_t p = source_[v.node];
        if (runs(p) && used_once(v.node) && fits(find(p), i)) merge(p, i);
      }
    }
  }

  size_t find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }

 private:
  // All of the chain of views down to the source is used by one node only.
  bool used_once(size_t i) const {
    for (;;) {
      if (uses_[i] != 1) return false;
      if (source_[i] == i) return true;
      i = nodes_[i].inputs[0].node;
    }
  }

  bool fits(size_t producer, size_t i) {
    const WorkKind p = kind_[producer], c = kind_[find(i)];
    const bool light = p == WorkKind::map || p == WorkKind::move;
    switch (work_[i]->kind) {
      case WorkKind::map:
      case WorkKind::move:
        // An epilogue, or a chain; one kernel holds one contraction or reduction.
        return light || ((p == WorkKind::contraction || p == WorkKind::reduce) &&
                         (c == WorkKind::map || c == WorkKind::move));
      case WorkKind::reduce: return light;
      case WorkKind::contraction: return p == WorkKind::move;
      case WorkKind::view:
      case WorkKind::other: return false;
    }
    return false;
  }

  void merge(size_t a, size_t b) {
    a = find(a);
    b = find(b);
    if (a == b) return;
    const WorkKind kind = std::max(kind_[a], kind_[b]);
    parent_[std::min(a, b)] = std::max(a, b);
    kind_[std::max(a, b)] = kind;
  }

  const std::vector<CostNode>& nodes_;
  const std::vector<const Work*>& work_;
  const std::vector<bool>& constant_;
  std::vector<size_t> parent_;
  std::vector<WorkKind> kind_;
  std::vector<uint32_t> uses_;
  std::vector<size_t> source_;
};

bool is_source(const ir::Node& n) { return n.op == "input" || n.op == "constant"; }

double value_bytes(const std::vector<CostNode>& nodes, ir::Value v) {
  const ir::ValueType& t = nodes[v.node].node->outputs[v.index];
  return t.opaque ? 0 : bytes_of(t);
}

// Most bytes alive at once when the nodes run in order and values die after their last use.
double peak_bytes(const std::vector<CostNode>& nodes, const std::vector<bool>& constant,
                  Fusion& fusion) {
  std::vector<size_t> last(nodes.size(), 0);
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].is_result) last[fusion.source(i)] = nodes.size();
    for (ir::Value v : nodes[i].inputs)
      if (v.present()) last[fusion.source(v.node)] = std::max(last[fusion.source(v.node)], i);
  }
  std::vector<std::vector<size_t>> dying(nodes.size() + 1);
  for (size_t i = 0; i < nodes.size(); ++i) dying[std::min(last[i], nodes.size())].push_back(i);
  double now = 0, peak = 0;
  const auto size = [&](size_t i) {
    double bytes = 0;
    if (constant[i] || fusion.is_view(i)) return bytes;
    for (uint32_t k = 0; k < nodes[i].node->outputs.size(); ++k)
      bytes += value_bytes(nodes, {static_cast<ir::NodeId>(i), k});
    return bytes;
  };
  for (size_t i = 0; i < nodes.size(); ++i) {
    now += size(i);
    peak = std::max(peak, now);
    for (size_t d : dying[i]) now -= size(d);
  }
  return peak;
}

}  // namespace

uint64_t CostModel::key(const CostNode& n, const Nodes& nodes) const {
  Hasher hasher;
  hasher.add(n.node->op);
  for (const auto& [name, value] : n.node->attrs) {
    hasher.add(name);
    ir::add_to_hash(hasher, value);
  }
  for (ir::Value v : n.inputs)
    hasher.add(v.present() ? nodes[v.node].node->outputs[v.index].to_string() : std::string());
  for (const auto& region : n.node->regions)
    hasher.add(static_cast<int64_t>(reinterpret_cast<uintptr_t>(region.get())));
  return hasher.finish().low;
}

const Work& CostModel::work(const CostNode& n, const Nodes& nodes) {
  const uint64_t k = key(n, nodes);
  const auto it = known_.find(k);
  if (it != known_.end()) return it->second;
  ops::InputTypes types;
  for (ir::Value v : n.inputs)
    types.push_back(v.present() ? &nodes[v.node].node->outputs[v.index] : nullptr);
  return known_.emplace(k, count_work(ops::registry().get(n.node->op), types, *n.node))
      .first->second;
}

// Appends a node whose operands are already in `into`, or the nodes of its decomposition.
void CostModel::append(const CostNode& node, Nodes& into, std::vector<ir::Value>& results) {
  const ops::OpDef& def = ops::registry().get(node.node->op);
  if (!def.decompose) {
    into.push_back(node);
    into.back().is_result = false;
    const auto id = static_cast<ir::NodeId>(into.size() - 1);
    for (uint32_t k = 0; k < node.node->outputs.size(); ++k) results.push_back({id, k});
    return;
  }
  std::unique_ptr<const ir::Graph>& body = bodies_[key(node, into)];
  if (!body) {
    ops::InputTypes types;
    for (ir::Value v : node.inputs)
      types.push_back(v.present() ? &into[v.node].node->outputs[v.index] : nullptr);
    body = std::make_unique<const ir::Graph>(
        ir::without_dead_nodes(ops::decompose(def, types, node.node->attrs, node.node->regions)));
  }
  const ir::Graph& g = *body;
  std::vector<std::vector<ir::Value>> map(g.node_count());
  size_t next = 0;
  for (ir::Value v : node.inputs)
    if (v.present()) map[g.inputs()[next++]] = {v};
  for (ir::NodeId id = 0; id < g.node_count(); ++id) {
    if (g.node(id).op == "input") continue;
    CostNode inner{&g.node(id), {}, false};
    for (ir::Value v : g.node(id).inputs)
      inner.inputs.push_back(v.present() ? map[v.node][v.index] : v);
    append(inner, into, map[id]);
  }
  for (const ir::GraphOutput& o : g.outputs()) results.push_back(map[o.value.node][o.value.index]);
}

CostModel::Nodes CostModel::expand(const Nodes& nodes) {
  Nodes result;
  result.reserve(2 * nodes.size());
  std::vector<std::vector<ir::Value>> map(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    CostNode node = nodes[i];
    for (ir::Value& v : node.inputs)
      if (v.present()) v = map[v.node][v.index];
    append(node, result, map[i]);
    if (nodes[i].is_result)
      for (ir::Value v : map[i]) result[v.node].is_result = true;
  }
  return result;
}

GraphCost CostModel::cost(const std::vector<CostNode>& nodes) {
  return cost_expanded(expand(nodes));
}

GraphCost CostModel::cost_expanded(const Nodes& nodes) {
  const size_t n = nodes.size();
  std::vector<const Work*> work(n, nullptr);
  std::vector<bool> constant(n, false);
  for (size_t i = 0; i < n; ++i) {
    const ir::Node& node = *nodes[i].node;
    bool all = node.op != "input" && !ops::registry().get(node.op).impure && node.op != "barrier";
    for (ir::Value v : nodes[i].inputs) all &= !v.present() || constant[v.node];
    constant[i] = all;
    if (!all && !is_source(node)) work[i] = &this->work(nodes[i], nodes);
  }
  Fusion fusion(nodes, work, constant);
  fusion.fuse();
  std::vector<Kernel> kernels(n);
  std::vector<std::set<ir::Value>> reads(n);
  GraphCost total;
  for (size_t i = 0; i < n; ++i) {
    if (!fusion.runs(i) || fusion.is_view(i)) continue;
    const size_t k = fusion.find(i);
    Kernel& kernel = kernels[k];
    kernel.kind = std::max(kernel.kind, work[i]->kind);
    kernel.flop_seconds += work[i]->flops / (efficiency(*work[i]) * machine_.flops_per_second);
    total.flops += work[i]->flops;
    for (ir::Value v : nodes[i].inputs) {
      if (!v.present()) continue;
      const size_t source = fusion.source(v.node);
      if (fusion.runs(source) && fusion.find(source) == k) continue;
      const ir::Value read{static_cast<ir::NodeId>(source), v.index};
      // A move or a gather reads what it writes, not the whole operand; so does a part of a split.
      const double bytes = value_bytes(nodes, v);
      if (reads[k].insert(read).second)
        kernel.in_bytes +=
            work[i]->kind == WorkKind::move ? std::min(bytes, work[i]->output_bytes) : bytes;
    }
  }
  std::vector<bool> leaves(n, false);  // values that other kernels or the caller read
  for (size_t i = 0; i < n; ++i) {
    if (nodes[i].is_result) leaves[fusion.source(i)] = true;
    if (!fusion.runs(i) || fusion.is_view(i)) continue;
    for (ir::Value v : nodes[i].inputs)
      if (v.present() && fusion.runs(fusion.source(v.node)) &&
          fusion.find(fusion.source(v.node)) != fusion.find(i))
        leaves[fusion.source(v.node)] = true;
  }
  for (size_t i = 0; i < n; ++i)
    if (leaves[i] && fusion.runs(i)) kernels[fusion.find(i)].out_bytes += work[i]->output_bytes;
  for (size_t i = 0; i < n; ++i) {
    if (!fusion.runs(i) || fusion.is_view(i) || fusion.find(i) != i) continue;
    const Kernel& kernel = kernels[i];
    const double bytes = kernel.in_bytes + kernel.out_bytes;
    const double cached = std::min(bytes, 1024.0 * 1024.0);  // stays in cache between kernels
    const double moving =
        cached / machine_.cache_bytes_per_second + (bytes - cached) / machine_.bytes_per_second;
    total.seconds += std::max(kernel.flop_seconds, moving) + machine_.launch_seconds;
    total.bytes += bytes;
    ++total.kernels;
  }
  total.peak_bytes = peak_bytes(nodes, constant, fusion);
  return total;
}

GraphCost CostModel::cost(const ir::Graph& graph) {
  std::vector<CostNode> nodes(graph.node_count());
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    nodes[id].node = &graph.node(id);
    nodes[id].inputs = graph.node(id).inputs;
  }
  for (const ir::GraphOutput& o : graph.outputs()) nodes[o.value.node].is_result = true;
  return cost(nodes);
}

}  // namespace tessera::cost
