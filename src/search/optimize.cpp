// SPDX-License-Identifier: Apache-2.0
// Saturation, descent, then best-first search.
#include "search/optimize.h"

#include <algorithm>
#include <queue>
#include <unordered_set>

#include "search/moves.h"

namespace tessera::search {
namespace {

class Search {
 public:
  Search(const rules::RuleSet& rules, const OptimizeOptions& options)
      : options_(options),
        moves_(rules, options),
        model_(options.machine ? *options.machine : cost::this_machine(options.threads)),
        start_(Clock::now()),
        deadline_(start_ + std::chrono::microseconds(
                               static_cast<int64_t>(std::min(options.budget_seconds, 1e6) * 1e6))) {
  }

  OptimizeResult run(const ir::Graph& graph) {
    OptimizeResult result;
    result.before = model_.cost(graph);
    State state = simplified(graph, result.before.seconds);
    report("descent", state);
    descend(state);
    report("best-first", state);
    explore(state);
    if (!options_.disabled.contains("fold-constants")) {
      if (rules::fold_large_constants(state.graph, rules::fold_growth) > 0)
        state.derivation.push_back({"fold-constants", 0, 0, ""});
      state.graph.take_changed();
    }
    result.after = cost_of(state.graph, model_);
    result.cost_before = result.before.seconds;
    result.cost_after = result.after.seconds;
    result.graphs_seen = graphs_;
    result.stop = stop_;
    if (result.cost_after > result.cost_before * (1 + 1e-12)) {
      result.graph = graph;
      result.after = result.before;
      result.cost_after = result.cost_before;
      result.stop = StopReason::no_improvement;
    } else {
      result.graph = state.graph.to_graph();
      for (const rules::Step& s : state.derivation) ++result.rules_used[s.rule];
      for (const auto& [name, count] : state.graph.counts()) result.rules_used[name] += count;
      result.derivation = std::move(state.derivation);
    }
    result.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    return result;
  }

 private:
  void report(const char* phase, const State& s) const {
    if (options_.progress)
      options_.progress(fmt::format("{}: {} nodes, {:.3f} ms predicted, {} steps", phase,
                                    s.graph.live_count(), s.seconds * 1e3, s.derivation.size()));
  }

  bool out_of_time() {
    if (Clock::now() < deadline_) return false;
    stop_ = StopReason::time_limit;
    return true;
  }

  void saturate_all(State& s) {
    // Sweeps over all nodes, until one changes nothing.
    for (int sweep = 0; sweep < 8; ++sweep) {
      const size_t before = s.derivation.size();
      moves_.saturate(s, s.graph.topological_order(), deadline_);
      if (s.derivation.size() == before || out_of_time()) break;
    }
    s.graph.take_changed();
    s.seconds = cost_of(s.graph, model_).seconds;
  }

  // The state after one choice and what follows from it; nothing if the choice does not apply.
  std::optional<State> after(const State& s, const rules::Step& step) {
    State next{s.graph, s.derivation, 0};
    if (!moves_.take(next, step)) return std::nullopt;
    moves_.saturate(next, next.graph.take_changed(), deadline_);
    next.graph.take_changed();
    next.seconds = cost_of(next.graph, model_).seconds;
    ++graphs_;
    return next;
  }

  // The graph after all rules that always help. Should that cost more than the input after all,
  // the rules that are to blame are left out, one by one.
  State simplified(const ir::Graph& graph, double input_seconds) {
    const rules::WorkGraph fresh(graph, work_options(options_));
    const auto attempt = [&] {
      State s{fresh, {}, 0};
      saturate_all(s);
      return s;
    };
    State best = attempt();
    while (best.seconds > input_seconds && !out_of_time()) {
      std::set<std::string> used;
      for (const rules::Step& s : best.derivation) used.insert(s.rule);
      bool improved = false;
      for (const std::string& rule : used) {
        moves_.set_enabled(rule, false);
        State s = attempt();
        if (s.seconds < best.seconds && !out_of_time()) {
          best = std::move(s);
          improved = true;
        } else {
          moves_.set_enabled(rule, true);
        }
      }
      if (!improved) break;
    }
    return best;
  }

  // Takes every choice that makes the graph cheaper, until none does.
  void descend(State& s) {
    for (bool improved = true; improved;) {
      improved = false;
      for (const rules::Step& step : moves_.choices(s.graph)) {
        if (out_of_time()) return;
        if (!s.graph.alive(step.root)) continue;
        auto next = after(s, step);
        if (!next || !(next->seconds < s.seconds * (1 - 1e-6))) continue;
        s = std::move(*next);
        improved = true;
      }
    }
  }

  Hash128 fingerprint(const rules::WorkGraph& g) const {
    // Structure without names: nodes in topological order, operands by place.
    Hasher hasher;
    std::vector<int64_t> place(g.node_limit(), -1);
    int64_t next = 0;
    for (ir::NodeId id : g.topological_order()) {
      place[id] = next++;
      hasher.add(g.node(id).op);
      for (const auto& [name, value] : g.node(id).attrs)
        if (ir::kind_of(value) != ir::AttrKind::tensor) ir::add_to_hash(hasher, value);
        else hasher.add(static_cast<int64_t>(std::get<Tensor>(value).size()));
      for (ir::Value v : g.inputs(id))
        hasher.add(v.present() ? place[v.node] * 16 + v.index : int64_t{-1});
    }
    return hasher.finish();
  }

  void explore(State& best) {
    struct Entry {
      std::shared_ptr<State> state;
      int order;
    };
    const auto later = [](const Entry& a, const Entry& b) {
      return a.state->seconds != b.state->seconds ? a.state->seconds > b.state->seconds
                                                  : a.order > b.order;
    };
    std::priority_queue<Entry, std::vector<Entry>, decltype(later)> open(later);
    std::unordered_set<Hash128> seen;
    int order = 0, looked = 0;
    open.push({std::make_shared<State>(best), order++});
    seen.insert(fingerprint(best.graph));
    while (!open.empty()) {
      if (out_of_time()) return;
      const std::shared_ptr<State> at = open.top().state;
      open.pop();
      if (at->seconds > best.seconds * options_.uphill) continue;
      for (const rules::Step& step : moves_.choices(at->graph)) {
        if (out_of_time()) return;
        if (++looked > options_.max_graphs) {
          stop_ = StopReason::node_limit;
          return;
        }
        auto next = after(*at, step);
        if (!next || next->seconds > best.seconds * options_.uphill) continue;
        if (!seen.insert(fingerprint(next->graph)).second) continue;
        if (next->seconds < best.seconds * (1 - 1e-6)) {
          descend(*next);
          best = *next;
        }
        open.push({std::make_shared<State>(std::move(*next)), order++});
      }
    }
  }

  const OptimizeOptions& options_;
  Moves moves_;
  cost::CostModel model_;
  Clock::time_point start_, deadline_;
  StopReason stop_ = StopReason::saturated;
  int graphs_ = 0;
};

}  // namespace

std::string_view to_string(StopReason reason) {
  switch (reason) {
    case StopReason::saturated: return "saturated";
    case StopReason::node_limit: return "node limit";
    case StopReason::time_limit: return "time limit";
    case StopReason::no_improvement: return "no improvement";
  }
  return "";
}

rules::WorkOptions work_options(const OptimizeOptions& options) {
  return {.merge_equal = !options.disabled.contains("common-subexpression"),
          .fold_constants = !options.disabled.contains("fold-constants")};
}

OptimizeResult optimize(const ir::Graph& graph, const rules::RuleSet& rules,
                        const OptimizeOptions& options) {
  return Search(rules, options).run(graph);
}

}  // namespace tessera::search
