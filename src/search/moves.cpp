// SPDX-License-Identifier: Apache-2.0
// Saturation with rules that always help, and enumeration of the others.
#include "search/moves.h"

#include <algorithm>
#include <deque>
#include <unordered_map>

namespace tessera::search {
namespace {

std::string names_of(const rules::WorkGraph& graph, const std::vector<ir::Value>& roots) {
  std::string names;
  for (ir::Value v : roots)
    names += (names.empty() ? "" : ",") + graph.node(v.node).op + ":" + graph.node(v.node).name;
  return names;
}

}  // namespace

Moves::Moves(const rules::RuleSet& rules, const OptimizeOptions& options)
    : rules_(rules), options_(options) {
  for (const rules::Rule& r : rules.rules()) {
    std::string name = r.name;
    if (name.ends_with("-reversed")) name.resize(name.size() - 9);
    on_.push_back(enabled(r.name, r.family, r.mode) && !options.disabled.contains(name) &&
                  (!r.when_asked || options.asked.contains(name)));
  }
  for (const rules::Pass& p : rules::passes())
    if (p.run && enabled(p.name, p.family, p.mode) &&
        (!p.when_asked || options.asked.contains(p.name)))
      passes_.push_back(&p);
}

bool Moves::enabled(const std::string& name, const std::string& family, rules::Mode mode) const {
  return !options_.disabled.contains(name) && !options_.disabled.contains(family) &&
         (options_.mode == rules::Mode::real || mode == rules::Mode::exact);
}

bool Moves::take(State& state, const rules::Step& step) const {
  if (!rules::take_step(state.graph, rules_, step)) return false;
  state.derivation.push_back(step);
  return true;
}

bool Moves::apply_one(State& state, ir::NodeId node) const {
  for (const rules::Pass* p : passes_) {
    if (p->when_cheaper || state.graph.def(node).name != p->root) continue;
    const rules::Step step{p->name, node, 0, names_of(state.graph, {{node, 0}})};
    if (p->run(state.graph, node)) {
      state.derivation.push_back(step);
      return true;
    }
  }
  for (int r : rules_.by_root(state.graph.def(node))) {
    const rules::Rule& rule = rules_.rules()[r];
    if (!on_[r] || rule.when_cheaper) continue;
    std::vector<rules::Match> matches;
    rules::find_matches(state.graph, rule, node, [&](const rules::Match& m) {
      matches.push_back(m);
      return matches.size() < 8;
    });
    for (const rules::Match& m : matches) {
      const rules::Step step{rule.name, node, m.ordinal, names_of(state.graph, m.roots)};
      if (rules::apply(state.graph, m)) {
        state.derivation.push_back(step);
        return true;
      }
    }
  }
  return false;
}

void Moves::saturate(State& state, std::vector<ir::NodeId> changed,
                     Clock::time_point deadline) const {
  // Patterns are at most this deep: a change may create a match at a user that far away.
  constexpr int reach = 6;
  const size_t limit = 64 + 40 * state.graph.live_count();  // a safeguard against rules that cycle
  std::set<ir::NodeId> queued(changed.begin(), changed.end());
  std::deque<ir::NodeId> queue(queued.begin(), queued.end());
  for (size_t steps = 0; !queue.empty() && steps < limit;) {
    const ir::NodeId node = queue.front();
    queue.pop_front();
    queued.erase(node);
    if (!state.graph.alive(node)) continue;
    if ((steps & 63) == 0 && Clock::now() > deadline) return;
    if (!apply_one(state, node)) continue;
    ++steps;
    std::vector<ir::NodeId> level = state.graph.take_changed();
    std::set<ir::NodeId> seen(level.begin(), level.end());
    if (state.graph.alive(node) && seen.insert(node).second) level.push_back(node);
    for (int depth = 0; depth < reach && !level.empty() && seen.size() < 400; ++depth) {
      std::vector<ir::NodeId> next;
      for (ir::NodeId id : level)
        for (ir::NodeId user : state.graph.users(id))
          if (seen.insert(user).second) next.push_back(user);
      level = std::move(next);
    }
    for (ir::NodeId id : seen)
      if (queued.insert(id).second) queue.push_back(id);
  }
}

std::vector<rules::Step> Moves::choices(const rules::WorkGraph& graph) const {
  std::vector<rules::Step> steps;
  const std::vector<ir::NodeId> order = graph.topological_order();
  for (const rules::Pass* p : passes_)
    for (ir::NodeId node : order)
      if (p->when_cheaper && graph.def(node).name == p->root)
        steps.push_back({p->name, node, 0, names_of(graph, {{node, 0}})});
  std::unordered_map<const ops::OpDef*, std::vector<ir::NodeId>> by_operator;
  for (ir::NodeId node : order) by_operator[&graph.def(node)].push_back(node);
  for (size_t r = 0; r < rules_.rules().size(); ++r) {
    const rules::Rule& rule = rules_.rules()[r];
    if (!on_[r] || !rule.when_cheaper) continue;
    for (ir::NodeId node : by_operator[rule.lhs[0].def])
      rules::find_matches(graph, rule, node, [&](const rules::Match& m) {
        steps.push_back({rule.name, node, m.ordinal, names_of(graph, m.roots)});
        return m.ordinal < 7;
      });
  }
  return steps;
}

void Moves::set_enabled(const std::string& rule, bool on) {
  for (size_t r = 0; r < on_.size(); ++r)
    if (rules_.rules()[r].name == rule) on_[r] = on;
}

cost::GraphCost cost_of(const rules::WorkGraph& graph, cost::CostModel& model) {
  const std::vector<ir::NodeId> order = graph.topological_order();
  std::vector<uint32_t> place(graph.node_limit(), 0);
  std::vector<cost::CostNode> nodes(order.size());
  for (uint32_t i = 0; i < order.size(); ++i) {
    place[order[i]] = i;
    nodes[i].node = &graph.node(order[i]);
    for (ir::Value v : graph.inputs(order[i]))
      nodes[i].inputs.push_back(v.present() ? ir::Value{place[v.node], v.index} : v);
    nodes[i].is_result = graph.is_result(order[i]);
  }
  return model.cost(nodes);
}

}  // namespace tessera::search
