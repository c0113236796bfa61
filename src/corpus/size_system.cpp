// SPDX-License-Identifier: Apache-2.0
// Union-find, propagation through sums, and random restarts: rules have a dozen sizes.
#include "corpus/size_system.h"

namespace tessera::corpus {

SizeSystem::Id SizeSystem::fresh() {
  parent_.push_back(static_cast<Id>(parent_.size()));
  value_.emplace_back();
  return parent_.back();
}

SizeSystem::Id SizeSystem::fixed(int64_t value) {
  const Id id = fresh();
  value_[id] = value;
  return id;
}

SizeSystem::Id SizeSystem::find(Id a) const {
  while (parent_[a] != a) a = parent_[a];
  return a;
}

void SizeSystem::unify(Id a, Id b) {
  a = find(a), b = find(b);
  if (a == b) return;
  if (value_[a] && value_[b] && *value_[a] != *value_[b]) throw Illegal{};
  if (!value_[a]) value_[a] = value_[b];
  parent_[b] = a;
}

void SizeSystem::fix(Id a, int64_t value) {
  a = find(a);
  if (value_[a] && *value_[a] != value) throw Illegal{};
  value_[a] = value;
}

// Computes what sums determine, and checks all that is known. False: contradictory.
bool SizeSystem::settle(Values& values) const {
  for (bool changed = true; changed;) {
    changed = false;
    for (const Sum& s : sums_) {
      int64_t total = 0;
      int unknown = 0;
      Id open = -1;
      for (Id p : s.parts) {
        if (const auto& v = values[find(p)]) {
          total += *v;
        } else {
          ++unknown;
          open = find(p);
        }
      }
      auto& whole = values[find(s.whole)];
      if (!whole) {
        if (unknown) continue;
        whole = total;
        changed = true;
      } else if (unknown == 0) {
        if (*whole != total) return false;
      } else if (unknown == 1) {
        if (*whole - total < 1) return false;
        values[open] = *whole - total;
        changed = true;
      }
    }
  }
  for (const Grouped& g : groups_) {
    const auto &c = values[find(g.channels)], &d = values[find(g.depth)],
               &o = values[find(g.outputs)];
    if (c && d && (*c % *d != 0 || (o && *o % (*c / *d) != 0))) return false;
  }
  for (const Centred& k : centred_) {
    const auto &s = values[find(k.small)], &l = values[find(k.large)];
    if (s && l && (*s > *l || (*l - *s) % 2 != 0)) return false;
  }
  return true;
}

bool SizeSystem::draw_once(Values& values, Rng& rng, int64_t low, int64_t high,
                           bool one_group) const {
  if (!settle(values)) return false;
  // Depths of weights first: they decide how many groups there can be.
  std::vector<Id> order;
  for (const Grouped& g : groups_) order.push_back(find(g.depth));
  for (Id id = 0; id < static_cast<Id>(parent_.size()); ++id)
    if (parent_[id] == id) order.push_back(id);
  for (Id id : order) {
    if (values[id]) continue;
    int64_t v = rng.integer(low, high);
    for (const Grouped& g : groups_) {
      const auto depth = values[find(g.depth)], channels = values[find(g.channels)];
      if (id == find(g.channels) && depth) v = *depth * (one_group ? 1 : rng.integer(1, 3));
      if (id == find(g.outputs) && depth && channels) v = *channels / *depth * rng.integer(1, 3);
    }
    for (const Centred& k : centred_)
      if (id == find(k.small) && values[find(k.large)])
        v = *values[find(k.large)] - 2 * rng.integer(0, (*values[find(k.large)] - 1) / 2);
    values[id] = v;
    if (!settle(values)) return false;
  }
  if (one_group)
    for (const Grouped& g : groups_)
      if (*values[find(g.channels)] != *values[find(g.depth)]) return false;
  return true;
}

std::optional<std::vector<int64_t>> SizeSystem::draw(Rng& rng, int64_t low, int64_t high,
                                                     bool one_group) const {
  constexpr int attempts = 400;
  for (int k = 0; k < attempts; ++k) {
    Values values = value_;
    if (!draw_once(values, rng, low, high, one_group)) continue;
    std::vector<int64_t> result(parent_.size());
    for (size_t id = 0; id < result.size(); ++id) result[id] = *values[find(static_cast<Id>(id))];
    return result;
  }
  return std::nullopt;
}

namespace {

// A symbol that occurs once in e = 0, with coefficient 1 or −1, and its value.
std::pair<std::string, sym::Expr> solved(const sym::Expr& e) {
  for (const sym::Term& t : e.terms()) {
    const bool unit = t.coefficient == 1 || t.coefficient == -1;
    if (!unit || t.factors.size() != 1 || t.factors[0].kind != sym::AtomKind::symbol) continue;
    const sym::Expr symbol = sym::Expr::symbol(t.factors[0].name);
    const sym::Expr rest = t.coefficient == 1 ? symbol - e : symbol + e;
    std::map<std::string, sym::Expr> names;
    rest.collect_symbols(names);
    if (!names.contains(t.factors[0].name)) return {t.factors[0].name, rest};
  }
  return {"", sym::Expr(0)};
}

}  // namespace

std::optional<std::vector<sym::Expr>> SizeSystem::symbols() const {
  std::vector<std::optional<sym::Expr>> values(parent_.size());
  std::vector<bool> summed(parent_.size(), false);
  for (const Sum& s : sums_) summed[find(s.whole)] = true;
  for (size_t id = 0; id < parent_.size(); ++id) {
    const Id root = find(static_cast<Id>(id));
    if (values[root]) continue;
    if (value_[root]) values[root] = sym::Expr(*value_[root]);
    else if (!summed[root]) values[root] = sym::Expr::symbol("s" + std::to_string(root));
  }
  std::vector<bool> used(sums_.size(), false);
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t k = 0; k < sums_.size(); ++k) {
      sym::Expr total(0);
      bool known = !used[k];
      for (Id p : sums_[k].parts)
        if (values[find(p)]) total = total + *values[find(p)];
        else known = false;
      if (!known) continue;
      used[k] = changed = true;
      auto& whole = values[find(sums_[k].whole)];
      if (!whole) {
        whole = total;
        continue;
      }
      if (*whole == total) continue;
      const auto [open, solution] = solved(*whole - total);
      if (open.empty()) return std::nullopt;
      for (auto& v : values)
        if (v) v = v->substitute({{open, solution}});
    }
  }
  std::vector<sym::Expr> all;
  for (size_t id = 0; id < parent_.size(); ++id) {
    const auto& v = values[find(static_cast<Id>(id))];
    if (!v) return std::nullopt;  // a sum that contains itself
    all.push_back(*v);
  }
  return all;
}

}  // namespace tessera::corpus
