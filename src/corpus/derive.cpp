// SPDX-License-Identifier: Apache-2.0
// Bidirectional breadth-first search over whole graphs.
#include "corpus/derive.h"

#include <unordered_map>
#include <unordered_set>

#include "rules/matcher.h"

namespace tessera::corpus {
namespace {

struct Visited {
  rules::WorkGraph graph;
  int parent = -1;
  std::string rule;
};

class Front {
 public:
  Front(const ir::Graph& start, const rules::RuleSet& rules, const DeriveOptions& options)
      : rules_(rules), options_(options) {
    keep(rules::WorkGraph(start), -1, "");
  }

  bool exhausted() const {
    return next_ == visited_.size() || static_cast<int>(visited_.size()) >= options_.max_graphs;
  }
  size_t size() const { return visited_.size(); }

  // All graphs that one step from the next unexpanded graph leads to.
  void expand() {
    const int at = static_cast<int>(next_++);
    const std::vector<ir::NodeId> order = visited_[at].graph.topological_order();
    for (ir::NodeId node : order) {
      const std::string& op = visited_[at].graph.def(node).name;
      for (const rules::Pass& p : rules_.passes()) {
        if (!p.run || p.root != op) continue;
        rules::WorkGraph next = visited_[at].graph;
        if (p.run(next, node)) keep(std::move(next), at, p.name);
      }
      for (int r : rules_.by_root(visited_[at].graph.def(node))) {
        std::vector<rules::Match> matches;
        rules::find_matches(visited_[at].graph, rules_.rules()[r], node,
                            [&](const rules::Match& m) {
                              matches.push_back(m);
                              return matches.size() < 8;
                            });
        for (const rules::Match& m : matches) {
          rules::WorkGraph next = visited_[at].graph;
          if (rules::apply(next, m)) keep(std::move(next), at, m.rule->name);
        }
      }
    }
  }

  // The first of this front's graphs, from `from` on, that the other front has seen.
  std::optional<std::pair<int, int>> meeting(size_t from, const Front& other) const {
    for (size_t k = from; k < visited_.size(); ++k) {
      const auto it = other.meets_.find(flat_[k]);
      if (it != other.meets_.end()) return std::pair(static_cast<int>(k), it->second);
    }
    return std::nullopt;
  }

  std::vector<std::string> path(int at) const {
    std::vector<std::string> names;
    for (; visited_[at].parent >= 0; at = visited_[at].parent)
      names.insert(names.begin(), visited_[at].rule);
    return names;
  }

 private:
  void keep(rules::WorkGraph graph, int parent, const std::string& rule) {
    if (static_cast<int>(graph.live_count()) > options_.max_nodes) return;
    if (!seen_.insert(recognition_hash(graph, false)).second) return;
    graph.take_changed();
    flat_.push_back(recognition_hash(graph, true));
    meets_.emplace(flat_.back(), static_cast<int>(visited_.size()));
    visited_.push_back({std::move(graph), parent, rule});
  }

  const rules::RuleSet& rules_;
  const DeriveOptions& options_;
  std::vector<Visited> visited_;
  std::vector<Hash128> flat_;
  std::unordered_set<Hash128> seen_;
  std::unordered_map<Hash128, int> meets_;
  size_t next_ = 0;
};

}  // namespace

Derived derive(const ir::Graph& left, const ir::Graph& right, const rules::RuleSet& rules,
               const DeriveOptions& options) {
  Front a(left, rules, options), b(right, rules, options);
  Derived result;
  const auto found = [&](std::optional<std::pair<int, int>> met) {
    if (!met) return false;
    result.found = true;
    result.left = a.path(met->first);
    result.right = b.path(met->second);
    return true;
  };
  bool done = found(a.meeting(0, b));
  while (!done && !(a.exhausted() && b.exhausted())) {
    const bool from_left = !a.exhausted() && (b.exhausted() || a.size() <= b.size());
    Front &front = from_left ? a : b, &other = from_left ? b : a;
    const size_t before = front.size();
    front.expand();
    auto met = front.meeting(before, other);
    if (met && !from_left) std::swap(met->first, met->second);
    done = found(met);
  }
  result.graphs = static_cast<int>(a.size() + b.size());
  return result;
}

}  // namespace tessera::corpus
