// SPDX-License-Identifier: Apache-2.0
// Candidates a = b·t, a = b, a = 1, and pairs of them.
#include "prove/weaken.h"

#include <algorithm>

#include "base/check.h"

namespace tessera::prove {
namespace {

constexpr size_t most_sizes = 8;
constexpr int killing_replays = 10;

std::vector<std::string> sizes_of(const ir::Graph& graph) {
  std::map<std::string, Index> names;
  for (ir::NodeId id : graph.inputs())
    for (const Index& d : graph.node(id).outputs[0].shape) d.collect_symbols(names);
  std::vector<std::string> sizes;
  for (const auto& [name, value] : names)
    if (sizes.size() < most_sizes) sizes.push_back(name);
  return sizes;
}

std::vector<SizeCondition> candidates(const std::vector<std::string>& sizes) {
  std::vector<SizeCondition> all;
  for (const std::string& a : sizes)
    for (const std::string& b : sizes)
      if (a != b)
        all.push_back({fmt::format("{} mod {} = 0", a, b),
                       {{a, Index::symbol(b) * Index::symbol(a + "_per_" + b)}}});
  for (size_t i = 0; i < sizes.size(); ++i)
    for (size_t j = i + 1; j < sizes.size(); ++j)
      all.push_back(
          {fmt::format("{} = {}", sizes[i], sizes[j]), {{sizes[i], Index::symbol(sizes[j])}}});
  for (const std::string& a : sizes) all.push_back({a + " = 1", {{a, Index(1)}}});
  return all;
}

bool mentions_same(const SizeCondition& a, const SizeCondition& b) {
  for (const auto& [name, value] : a.by) {
    if (b.by.contains(name)) return true;
    for (const auto& [other, by] : b.by)
      if (mentions(by, name) || mentions(value, other)) return true;
  }
  return false;
}

// The pair of graphs under the conditions; nothing if they are never legal there.
std::optional<Problem> under(const Problem& base, const std::vector<SizeCondition>& conditions) {
  try {
    Problem p = base;
    for (const SizeCondition& c : conditions) {
      p.left = resized(p.left, c.by);
      p.right = resized(p.right, c.by);
      p.hypotheses = substitute(p.hypotheses, c.by);
    }
    if (!unify(p)) return std::nullopt;
    return p;
  } catch (const UserError&) {
    return std::nullopt;
  }
}

bool holds(const Problem& p, const ProveOptions& options) {
  int tried = 0;
  if (!replay(p, killing_replays, options.seed, tried).empty() || tried == 0) return false;
  return decide(p, options).kind == Outcome::Kind::proved;
}

}  // namespace

std::vector<std::vector<SizeCondition>> weakest_conditions(const ir::Graph& left,
                                                           const ir::Graph& right,
                                                           const ProveOptions& options) {
  Problem base;
  base.left = left;
  base.right = right;
  base.domain = domain_of(left, options.mode);
  if (const auto p = under(base, {}); p && holds(*p, options)) return {{}};
  const std::vector<SizeCondition> all = candidates(sizes_of(left));
  std::vector<std::vector<SizeCondition>> found;
  std::vector<bool> enough(all.size(), false);
  for (size_t k = 0; k < all.size(); ++k) {
    // a = b makes b divide a: where divisibility is enough, equality is no news.
    const bool implied = std::any_of(found.begin(), found.end(), [&](const auto& f) {
      const auto& [name, value] = *all[k].by.begin();
      const auto& [weak, by] = *f[0].by.begin();
      return name == weak && f[0].text.find(" mod ") != std::string::npos && value.as_symbol() &&
             mentions(by, *value.as_symbol());
    });
    if (implied) {
      enough[k] = true;
      continue;
    }
    const auto p = under(base, {all[k]});
    enough[k] = p && holds(*p, options);
    if (enough[k]) found.push_back({all[k]});
  }
  if (!found.empty()) return found;
  for (size_t i = 0; i < all.size(); ++i)
    for (size_t j = i + 1; j < all.size(); ++j) {
      if (mentions_same(all[i], all[j])) continue;
      const std::vector<SizeCondition> both{all[i], all[j]};
      const auto p = under(base, both);
      if (p && holds(*p, options)) {
        found.push_back(both);
        if (found.size() >= 4) return found;
      }
    }
  return found;
}

}  // namespace tessera::prove
