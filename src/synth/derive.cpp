// SPDX-License-Identifier: Apache-2.0
// Bounded bidirectional rewriting.
#include "synth/derive.h"

#include <algorithm>

namespace tessera::synth {
namespace {

int largest_variable(const PatternNode& p) {
  int most = p.def || p.number ? -1 : p.variable;
  for (const PatternNode& a : p.args) most = std::max(most, largest_variable(a));
  return most;
}

}  // namespace

void RuleBase::add(const LearnedRule& rule) {
  if (rule.left.def) by_root_[rule.left.def->name].push_back({&rule.left, &rule.right, &rule});
  // As an equation a rule holds from right to left too; build_pattern refuses what is not bound.
  if (rule.right.def) by_root_[rule.right.def->name].push_back({&rule.right, &rule.left, &rule});
}

void RuleBase::remove(const LearnedRule& rule) {
  for (auto& [name, directions] : by_root_)
    std::erase_if(directions, [&](const Direction& d) { return d.rule == &rule; });
}

void RuleBase::rewrites_of_root(TermId id, std::vector<TermId>& results) {
  const Term t = pool_.term(id);
  const auto it = by_root_.find(t.def->name);
  if (it == by_root_.end()) return;
  for (const Direction& d : it->second) {
    Match match;
    const int most = std::max(largest_variable(*d.from), largest_variable(*d.to));
    match.variables.resize(static_cast<size_t>(most + 1));
    // Building adds terms to the pool, so it waits until matching is done.
    std::vector<Match> matches;
    match_pattern(pool_, *d.from, id, match, [&](const Match& m) {
      if (holds(pool_, d.rule->conditions, m)) matches.push_back(m);
      return true;
    });
    for (const Match& m : matches) {
      const auto result = build_pattern(pool_, *d.to, m);
      if (result && *result != id && pool_.term(*result).type == t.type) results.push_back(*result);
    }
  }
}

std::vector<TermId> RuleBase::rewrites(TermId id) {
  std::vector<TermId> results;
  for (TermId inner : pool_.subterms(id)) {
    std::vector<TermId> own;
    rewrites_of_root(inner, own);
    for (TermId replacement : own)
      if (const auto whole = pool_.replace(id, {{inner, replacement}})) results.push_back(*whole);
  }
  std::sort(results.begin(), results.end());
  results.erase(std::unique(results.begin(), results.end()), results.end());
  return results;
}

bool RuleBase::reach(std::set<TermId>& reached, std::vector<TermId>& frontier, size_t limit) {
  std::vector<TermId> next;
  for (TermId t : frontier)
    for (TermId r : rewrites(t))
      if (reached.size() < limit && reached.insert(r).second) next.push_back(r);
  frontier = std::move(next);
  return !frontier.empty();
}

bool RuleBase::derives(const Equation& e, const DeriveLimits& limits) {
  std::set<TermId> left{e.left}, right{e.right};
  std::vector<TermId> left_frontier{e.left}, right_frontier{e.right};
  const auto meet = [&] {
    return std::any_of(right.begin(), right.end(), [&](TermId t) { return left.contains(t); });
  };
  for (int k = 0; k < std::max(limits.left_steps, limits.right_steps); ++k) {
    if (k < limits.left_steps && reach(left, left_frontier, limits.terms) && meet()) return true;
    if (k < limits.right_steps && reach(right, right_frontier, limits.terms) && meet()) return true;
  }
  return false;
}

}  // namespace tessera::synth
