// SPDX-License-Identifier: Apache-2.0
// Folding of constants of any size at the end of a search (small ones are folded as they appear).
#include <algorithm>

#include "base/check.h"
#include "ops/evaluate.h"
#include "ops/registry.h"
#include "rules/passes.h"

namespace tessera::rules {
namespace {

double bytes_of(const ir::ValueType& t) {
  double bytes = static_cast<double>(size_of(t.dtype));
  for (const sym::Expr& d : t.shape) bytes *= static_cast<double>(d.constant().value_or(1 << 30));
  return bytes;
}

// Evaluates the constants-only subgraph under `root` (an output of a foldable node).
std::vector<Tensor> evaluate_constant(const WorkGraph& g, ir::NodeId root,
                                      std::map<ir::NodeId, std::vector<Tensor>>& known) {
  if (const auto it = known.find(root); it != known.end()) return it->second;
  if (const Tensor* t = g.tensor({root, 0})) return {*t};
  std::vector<Tensor> inputs;
  ops::InputTypes types;
  for (ir::Value v : g.inputs(root)) {
    inputs.push_back(v.present() ? evaluate_constant(g, v.node, known).at(v.index) : Tensor{});
    types.push_back(v.present() ? &g.type(v) : nullptr);
  }
  const ir::Node& n = g.node(root);
  std::vector<Tensor> values =
      ops::evaluate_node(g.def(root), n.attrs, types, inputs, n.regions, {.wide = false});
  for (size_t k = 0; k < values.size(); ++k) values[k] = values[k].converted(n.outputs[k].dtype);
  known[root] = values;
  return values;
}

// What the value is computed from: the bytes of the constants it reads.
double source_bytes(const WorkGraph& g, ir::NodeId root) {
  std::vector<ir::NodeId> work{root}, seen;
  double bytes = 0;
  while (!work.empty()) {
    const ir::NodeId at = work.back();
    work.pop_back();
    if (std::find(seen.begin(), seen.end(), at) != seen.end()) continue;
    seen.push_back(at);
    if (g.tensor({at, 0})) bytes += bytes_of(g.node(at).outputs[0]);
    for (ir::Value v : g.inputs(at))
      if (v.present()) work.push_back(v.node);
  }
  return bytes;
}

// Also behind a transposition.
bool keeps_constants(const WorkGraph& g, ir::NodeId id) {
  if (g.node(id).op == "transpose") id = g.inputs(id).at(0).node;
  const std::vector<ir::Value>& inputs = g.inputs(id);
  return !inputs.empty() && inputs[0].present() &&
         ops::keeps_constants(g.def(id), g.type(inputs[0]));
}

}  // namespace

int fold_large_constants(WorkGraph& graph, double growth) {
  constexpr double always = 1 << 20;  // bytes
  int folded = 0;
  std::map<ir::NodeId, std::vector<Tensor>> known;
  // The largest foldable subgraphs only: a constant node is a root if something that is not
  // constant, or an output, uses it.
  for (ir::NodeId id : graph.topological_order()) {
    if (!graph.alive(id) || graph.tensor({id, 0}) || !graph.is_constant({id, 0})) continue;
    const ir::Node& n = graph.node(id);
    bool root = graph.is_result(id);
    for (ir::NodeId user : graph.users(id)) root |= !graph.is_constant({user, 0});
    if (!root || keeps_constants(graph, id)) continue;
    double bytes = 0;
    for (const ir::ValueType& t : n.outputs) bytes += bytes_of(t);
    if (bytes > always && bytes > growth * source_bytes(graph, id)) continue;
    std::vector<Tensor> values;
    try {
      values = evaluate_constant(graph, id, known);
    } catch (const UserError&) {
      continue;  // fails on these values: left to the run
    }
    ++folded;
    const std::string name = n.name;
    const size_t outputs = n.outputs.size();
    for (uint32_t k = 0; k < outputs; ++k) {
      const ir::Value constant = graph.add_constant(values[k]);
      if (k == 0) graph.annotate(constant.node, name, "fold-constants", name);
      graph.replace({id, k}, constant);
      graph.remove_if_dead(constant.node);
    }
  }
  return folded;
}

}  // namespace tessera::rules
