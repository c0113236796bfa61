// SPDX-License-Identifier: Apache-2.0
// Drawing instances, and choosing sets of conditions.
#include "synth/evidence.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "rules/matcher.h"
#include "rules/sample.h"

namespace tessera::synth {
namespace {

constexpr int beyond = -1;  // the clause of an instance that leaves the rule's own

// The rule's text with these sample clauses and candidates as conditions, parsed.
rules::Rule parsed(const LearnedRule& rule, std::vector<std::string> clauses,
                   std::span<const Condition> candidates) {
  LearnedRule other = rule;
  other.samples = std::move(clauses);
  other.conditions.assign(candidates.begin(), candidates.end());
  return rules::parse_rule(other.text(), "learned", 1);
}

struct Rewritten {
  ConditionSet violated = 0;
  std::optional<ir::Graph> right;
};

// The first match of all results at once, conditions left aside.
std::optional<Rewritten> rewrite(const rules::Rule& rule,
                                 const std::vector<rules::Term>& conditions,
                                 const ir::Graph& left) {
  rules::WorkGraph graph(left, {.fold_constants = false});
  for (ir::NodeId id = 0; id < graph.node_limit(); ++id) {
    std::optional<rules::Match> first;
    rules::find_matches(graph, rule, id, [&](const rules::Match& m) {
      for (const ir::GraphOutput& o : graph.results())
        if (std::find(m.roots.begin(), m.roots.end(), o.value) == m.roots.end()) return true;
      first = m;
      return false;
    });
    if (!first) continue;
    Rewritten result;
    for (size_t k = 0; k < conditions.size(); ++k)
      if (!rules::holds(conditions[k], {graph, rule, first->bindings}))
        result.violated |= ConditionSet{1} << k;
    if (rules::apply(graph, *first)) result.right = graph.to_graph();
    return result;
  }
  return {};
}

}  // namespace

Evidence::Evidence(const LearnedRule& rule, std::span<const Condition> candidates, int many,
                   uint64_t seed)
    : directions_(rule.both_ways ? 2 : 1), candidates_(candidates.size()) {
  // Instances that fit are rarer where windows and groups change.
  const bool windows = rule.types.size() > 0 && rule.types[0].rank() > 3;
  const int few = windows ? 6 : 3;
  Rng rng(seed);
  for (direction_ = 0; direction_ < directions_; ++direction_) {
    const auto take = [&](const std::vector<std::string>& clauses) {
      rules::Rule r = parsed(rule, clauses, candidates);
      return direction_ == 0 ? r : r.reversed();
    };
    const size_t own = std::max<size_t>(1, rule.samples.size());
    for (const bool wild : {false, true})
      for (size_t k = 0; k < own && !refuted_; ++k) {
        const auto clauses =
            rule.samples.empty() ? rule.samples : std::vector<std::string>{rule.samples[k]};
        draw(take(clauses), static_cast<int>(k), wild, many, 6 * many, rng);
      }
    for (size_t k = 0; k < rule.adverse.size() && !refuted_; ++k)
      draw(take({rule.adverse[k]}), beyond, k % 2 == 1, few, (windows ? 10 : 3) * few, rng);
  }
}

void Evidence::draw(const rules::Rule& rule, int clause, bool wild, int wanted, int attempts,
                    Rng& rng) {
  int matched = 0;
  for (int k = 0; k < attempts && matched < wanted && !refuted_; ++k) {
    const auto left = rules::sample_left_side(rule, rng, wild);
    if (left) look_at(rule, *left, clause, wild, rng, matched);
  }
}

void Evidence::look_at(const rules::Rule& rule, const ir::Graph& left, int clause, bool wild,
                       Rng& rng, int& matched) {
  rules::Rule bare = rule;
  bare.conditions.clear();
  const auto found = rewrite(bare, rule.conditions, left);
  if (!found) return;
  if (!found->right) return;
  try {
    const bool special = rule.mode == rules::Mode::exact && rng.uniform() < 0.5;
    const auto inputs = rules::random_inputs(left, rng, special);
    const bool agrees = !rules::disagreement(left, *found->right, rule.mode, inputs);
    ++matched;
    Count& count = cases_[found->violated];
    ++(agrees ? count.agree : count.differ);
    if (agrees && !wild && clause != beyond) ++own_[{direction_, clause}][found->violated];
    if (!agrees && found->violated == 0) refuted_ = true;
  } catch (const UserError&) {
    // An index out of range, on the left side as well.
  }
}

bool Evidence::enough(ConditionSet set) const {
  for (const auto& [violated, count] : cases_)
    if (count.differ > 0 && (violated & set) == 0) return false;
  return true;
}

int Evidence::kept(ConditionSet set) const {
  int total = 0;
  for (const auto& [violated, count] : cases_)
    if ((violated & set) == 0) total += count.agree;
  return total;
}

std::vector<ConditionSet> Evidence::sufficient(size_t most) const {
  if (refuted_) return {};
  if (enough(0)) return {0};
  // Only what some differing instance violates can help.
  ConditionSet useful = 0;
  for (const auto& [violated, count] : cases_)
    if (count.differ > 0) useful |= violated;
  std::vector<ConditionSet> bits, found;
  for (size_t k = 0; k < candidates_; ++k)
    if (useful >> k & 1) bits.push_back(ConditionSet{1} << k);
  const auto consider = [&](ConditionSet set) {
    const bool larger =
        std::any_of(found.begin(), found.end(), [&](ConditionSet f) { return (f & set) == f; });
    if (!larger && enough(set)) found.push_back(set);
  };
  for (const ConditionSet a : bits) consider(a);
  for (size_t i = 0; i < bits.size(); ++i)
    for (size_t j = 0; j < i; ++j) consider(bits[i] | bits[j]);
  for (size_t i = 0; i < bits.size() && found.empty(); ++i)
    for (size_t j = 0; j < i; ++j)
      for (size_t k = 0; k < j; ++k) consider(bits[i] | bits[j] | bits[k]);
  std::stable_sort(found.begin(), found.end(), [&](ConditionSet a, ConditionSet b) {
    return std::pair(-kept(a), std::popcount(a)) < std::pair(-kept(b), std::popcount(b));
  });
  if (found.size() >= most) found.resize(most - 1);
  ConditionSet all = useful;
  for (auto bit = bits.rbegin(); bit != bits.rend(); ++bit)
    if (enough(all & ~*bit)) all &= ~*bit;
  if (std::find(found.begin(), found.end(), all) == found.end()) found.push_back(all);
  return found;
}

int Evidence::supporting(ConditionSet set) const {
  int fewest = -1;
  for (int direction = 0; direction < directions_; ++direction) {
    int total = 0;
    for (const auto& [source, cases] : own_)
      for (const auto& [violated, count] : cases)
        if (source.first == direction && (violated & set) == 0) total += count;
    fewest = fewest < 0 ? total : std::min(fewest, total);
  }
  return fewest;
}

std::vector<size_t> Evidence::clauses(ConditionSet set) const {
  std::map<int, int> met;
  for (const auto& [source, cases] : own_)
    met[source.second] += std::any_of(cases.begin(), cases.end(),
                                      [&](const auto& c) { return (c.first & set) == 0; });
  std::vector<size_t> all;
  for (const auto& [clause, directions] : met)
    if (directions == directions_) all.push_back(static_cast<size_t>(clause));
  return all;
}

}  // namespace tessera::synth
