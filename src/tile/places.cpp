// SPDX-License-Identifier: Apache-2.0
// Sums over axes and their bounds.
#include "tile/places.h"

#include <algorithm>
#include <set>

#include "base/check.h"

namespace tessera::tile {

void Place::add(const Place& other, int64_t factor) {
  constant += other.constant * factor;
  const auto merge = [&](auto& into, const auto& from) {
    for (const auto& [key, f] : from)
      if ((into[key] += f * factor) == 0) into.erase(key);
  };
  merge(factors, other.factors);
  merge(rest, other.rest);
}

Places::Places(const Program& program) : p_(program) {
  const auto known = [&](const sym::Expr& size) {
    const auto value = size.constant();
    TESSERA_CHECK(value.has_value(), "{}: the size {} is not known", p_.name, size.to_string());
    return *value;
  };
  for (const Axis& a : p_.axes) extents_.push_back(known(a.extent));
  for (const Param& param : p_.params) {
    shapes_.emplace_back();
    for (const sym::Expr& d : param.shape) shapes_.back().push_back(known(d));
  }
}

Place Places::place(NodeId id) const {
  const Node& n = p_.nodes[id];
  Place result;
  if (n.kind == Kind::constant && n.type == DType::i64) {
    result.constant = n.bits;
    return result;
  }
  if (n.kind == Kind::index) {
    if (extents_[n.target] != 1) result.factors[n.target] = 1;
    return result;
  }
  using ir::Prim;
  const bool is_sum = n.kind == Kind::primitive && (n.prim == Prim::add || n.prim == Prim::sub);
  if (is_sum) {
    result.add(place(n.args[0]), 1);
    result.add(place(n.args[1]), n.prim == Prim::add ? 1 : -1);
    return result;
  }
  if (n.kind == Kind::primitive && n.prim == Prim::neg) {
    result.add(place(n.args[0]), -1);
    return result;
  }
  if (n.kind == Kind::primitive && n.prim == Prim::mul) {
    const Place x = place(n.args[0]), y = place(n.args[1]);
    const bool first = x.factors.empty() && x.rest.empty();
    if (first || (y.factors.empty() && y.rest.empty())) {
      result.add(first ? y : x, first ? x.constant : y.constant);
      return result;
    }
  }
  result.rest[id] = 1;
  return result;
}

Place Places::offset(uint32_t param, std::span<const NodeId> indices) const {
  Place total;
  int64_t stride = 1;
  for (size_t k = indices.size(); k-- > 0;) {
    total.add(place(indices[k]), stride);
    stride *= shapes_[param][k];
  }
  return total;
}

bool Places::is_inside(const Place& place, int64_t size, NodeId mask) const {
  bool low_known = false, high_known = false;
  if (place.rest.empty()) {
    int64_t low = place.constant, high = place.constant;
    for (const auto& [axis, factor] : place.factors)
      (factor > 0 ? high : low) += factor * (extents_[axis] - 1);
    low_known = low >= 0, high_known = high < size;
  }
  // Each condition of the mask says that some room is not negative; so is what exceeds it.
  Place above, below = place;
  above.constant = size - 1;
  above.add(place, -1);
  std::vector<NodeId> open;
  if (mask != none) open.push_back(mask);
  while (!open.empty() && !(low_known && high_known)) {
    const Node& n = p_.nodes[open.back()];
    open.pop_back();
    if (n.kind != Kind::primitive) continue;
    if (n.prim == ir::Prim::logical_and) {
      open.insert(open.end(), n.args.begin(), n.args.end());
    } else if ((n.prim == ir::Prim::lt || n.prim == ir::Prim::le) &&
               p_.nodes[n.args[0]].type == DType::i64) {
      Place room = this->place(n.args[1]);
      room.add(this->place(n.args[0]), -1);
      if (n.prim == ir::Prim::lt) --room.constant;
      const auto at_least = [&](Place x) {
        x.add(room, -1);
        return x.factors.empty() && x.rest.empty() && x.constant >= 0;
      };
      low_known = low_known || at_least(below);
      high_known = high_known || at_least(above);
    }
  }
  return low_known && high_known;
}

bool Places::depends(NodeId id, AxisId a) const {
  const auto& axes = p_.nodes[id].axes;
  return std::binary_search(axes.begin(), axes.end(), a);
}

bool Places::depends(const Place& place, AxisId a) const {
  if (place.factors.contains(a)) return true;
  return std::any_of(place.rest.begin(), place.rest.end(),
                     [&](const auto& term) { return depends(term.first, a); });
}

// How many elements the tiles of the nodes have together, all blocks counted.
double Places::visits(std::span<const NodeId> nodes) const {
  std::set<AxisId> axes;
  for (NodeId id : nodes) axes.insert(p_.nodes[id].axes.begin(), p_.nodes[id].axes.end());
  double count = 1;
  for (AxisId a : axes) count *= static_cast<double>(extents_[a]);
  return count;
}

double Places::score(AxisId a, uint32_t param, std::span<const NodeId> indices) const {
  const Place total = offset(param, indices);
  if (!depends(total, a)) return 0;
  const bool plain = std::none_of(total.rest.begin(), total.rest.end(),
                                  [&](const auto& term) { return depends(term.first, a); });
  const auto at = total.factors.find(a);
  return (plain && at != total.factors.end() && at->second == 1 ? 1 : -1) * visits(indices);
}

double Places::score(AxisId a, NodeId root) const {
  double total = 0;
  std::set<NodeId> seen;
  std::vector<NodeId> open{root};
  while (!open.empty()) {
    const NodeId id = open.back();
    open.pop_back();
    if (!seen.insert(id).second) continue;
    const Node& n = p_.nodes[id];
    if (n.kind == Kind::load)
      total += score(a, n.target, std::span(n.args).first(n.args.size() - (n.masked ? 1 : 0)));
    open.insert(open.end(), n.args.begin(), n.args.end());
  }
  return total;
}

double Places::score(AxisId a, const Statement& store) const {
  return score(a, store.target, store.indices) + score(a, store.value);
}

}  // namespace tessera::tile
