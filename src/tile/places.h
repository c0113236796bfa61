// SPDX-License-Identifier: Apache-2.0
// Index expressions of tile programs as sums over axes, what they are known to stay inside of, and
// which axis the accesses to memory favour for vector lanes.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "tile/program.h"

namespace tessera::tile {

/// constant + Σ factor · index of an axis + Σ factor · node
struct Place {
  int64_t constant = 0;
  std::map<AxisId, int64_t> factors;
  std::map<NodeId, int64_t> rest;
  void add(const Place& other, int64_t factor);
  bool operator==(const Place&) const = default;
};

class Places {
 public:
  /// REQUIRES: known sizes.
  explicit Places(const Program& program);

  int64_t extent(AxisId a) const { return extents_[a]; }
  const std::vector<int64_t>& shape(uint32_t param) const { return shapes_[param]; }
  Place place(NodeId id) const;
  /// Elements from the start of a parameter of which `indices` is an element.
  Place offset(uint32_t param, std::span<const NodeId> indices) const;
  /// Whether 0 <= place < size wherever `mask` holds (none: everywhere).
  bool is_inside(const Place& place, int64_t size, NodeId mask) const;
  /// Whether a node's tile depends on the axis.
  bool depends(NodeId id, AxisId a) const;
  bool depends(const Place& place, AxisId a) const;

  /// How well an axis would lie in lanes for the loads under `root`, and with a store where that is
  /// not null: accesses to neighbours count for it, others against it, by how often they happen.
  double score(AxisId a, NodeId root) const;
  double score(AxisId a, const Statement& store) const;

 private:
  double score(AxisId a, uint32_t param, std::span<const NodeId> indices) const;
  double visits(std::span<const NodeId> nodes) const;

  const Program& p_;
  std::vector<int64_t> extents_;
  std::vector<std::vector<int64_t>> shapes_;
};

}  // namespace tessera::tile
