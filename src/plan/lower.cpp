// SPDX-License-Identifier: Apache-2.0
// From an expanded graph to a draft: a step for each output of each node.
#include <map>

#include "base/check.h"
#include "ops/registry.h"
#include "plan/passes.h"

namespace tessera::plan {
namespace {

// Output `k` of a meaning on its own.
ir::Meaning single_output(const ir::Meaning& meaning, size_t k) {
  ir::Meaning one;
  one.pool = std::make_unique<ir::ExprPool>();
  one.inputs = meaning.inputs;
  one.outputs.push_back({meaning.outputs[k].shape, one.pool->import(meaning.outputs[k].body, {})});
  return one;
}

class Lowering {
 public:
  Lowering(const ir::Graph& graph, const std::vector<KernelMatch>& matches)
      : graph_(graph), values_(graph.node_count()), needed_(graph.node_count(), false) {
    for (const KernelMatch& m : matches) match_at_.emplace(m.output.node, &m);
  }

  Draft run() {
    find_needed();
    for (ir::NodeId id = 0; id < graph_.node_count(); ++id)
      if (needed_[id]) add(id);
    for (ir::NodeId id : graph_.inputs()) draft_.inputs.push_back(values_[id][0]);
    for (const ir::GraphOutput& o : graph_.outputs())
      draft_.outputs.push_back(values_[o.value.node][o.value.index]);
    return std::move(draft_);
  }

 private:
  // What no output needs any more, since kernels compute what it was for, gets no step.
  void find_needed() {
    for (ir::NodeId id : graph_.inputs()) needed_[id] = true;
    for (const ir::GraphOutput& o : graph_.outputs()) needed_[o.value.node] = true;
    for (ir::NodeId id = static_cast<ir::NodeId>(graph_.node_count()); id-- > 0;) {
      if (!needed_[id]) continue;
      const auto match = match_at_.find(id);
      for (ir::Value v : match == match_at_.end() ? graph_.node(id).inputs : match->second->inputs)
        if (v.present()) needed_[v.node] = true;
    }
  }

  void add_match(const KernelMatch& match) {
    Step step;
    step.kind = Step::Kind::direct;
    step.op = "tile";
    step.kernel = match.kernel;
    step.names = {match.kernel->program.name};
    for (ir::NodeId id : match.nodes) step.nodes.push_back(graph_.node(id).name);
    for (ir::Value v : match.inputs) step.src.push_back(values_[v.node][v.index]);
    step.dst = values_[match.output.node];
    draft_.steps.push_back(std::move(step));
  }

  void add(ir::NodeId id) {
    const ir::Node& node = graph_.node(id);
    for (const ir::ValueType& type : node.outputs)
      values_[id].push_back(draft_.add_value(type.dtype, type.concrete_shape()));
    if (node.op == "input") {
      draft_.values[values_[id][0]].input = inputs_++;
      return;
    }
    if (node.op == "constant") {
      draft_.values[values_[id][0]].constant = std::get<Tensor>(node.attrs.at("value"));
      return;
    }
    if (const auto match = match_at_.find(id); match != match_at_.end())
      return add_match(*match->second);
    Step step;
    step.op = node.op;
    step.attrs = node.attrs;
    step.regions = node.regions;
    step.names = {node.op};
    step.nodes = {node.name};
    for (ir::Value v : node.inputs)
      step.src.push_back(v.present() ? values_[v.node][v.index] : no_value);
    step.dst = values_[id];
    const ops::OpDef& def = ops::registry().get(node.op);
    if (!def.meaning) {
      step.kind = node.op == "scan" ? Step::Kind::scan : Step::Kind::opaque;
      draft_.steps.push_back(std::move(step));
      return;
    }
    ir::Meaning meaning = ops::instantiate(graph_, node);
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      Step one;
      one.op = step.op;
      one.attrs = step.attrs;
      one.names = step.names;
      one.nodes = step.nodes;
      one.src = step.src;
      one.dst = {values_[id][k]};
      one.meaning = node.outputs.size() == 1 ? std::move(meaning) : single_output(meaning, k);
      draft_.steps.push_back(std::move(one));
    }
  }

  const ir::Graph& graph_;
  std::vector<std::vector<ValueId>> values_;
  std::vector<bool> needed_;
  std::map<ir::NodeId, const KernelMatch*> match_at_;
  Draft draft_;
  int inputs_ = 0;
};

}  // namespace

Draft lower(const ir::Graph& graph, const std::vector<KernelMatch>& matches) {
  return Lowering(graph, matches).run();
}

}  // namespace tessera::plan
