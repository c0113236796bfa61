// SPDX-License-Identifier: Apache-2.0
// Index expressions of tile programs as sums over axes, what they are known to stay inside of, and
// which axis the accesses to memory favour for vector lanes.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "tile/program.h"

namespace tessera::codegen {

/// constant + Σ factor · index of an axis + Σ factor · node
struct Place {
  int64_t constant = 0;
  std::map<tile::AxisId, int64_t> factors;
  std::map<tile::NodeId, int64_t> rest;
  void add(const Place& other, int64_t factor);
  bool operator==(const Place&) const = default;
};

class TilePlaces {
 public:
  /// REQUIRES: known sizes.
  explicit TilePlaces(const tile::Program& program);

  int64_t extent(tile::AxisId a) const { return extents_[a]; }
  const std::vector<int64_t>& shape(uint32_t param) const { return shapes_[param]; }
  Place place(tile::NodeId id) const;
  /// Elements from the start of a parameter of which `indices` is an element.
  Place offset(uint32_t param, std::span<const tile::NodeId> indices) const;
  /// Whether 0 <= place < size wherever `mask` holds (none: everywhere).
  bool is_inside(const Place& place, int64_t size, tile::NodeId mask) const;
  /// Whether a node's tile depends on the axis.
  bool depends(tile::NodeId id, tile::AxisId a) const;
  bool depends(const Place& place, tile::AxisId a) const;

  /// How well an axis would lie in lanes for the loads under `root`, and with a store where that is
  /// not null: accesses to neighbours count for it, others against it, by how often they happen.
  double score(tile::AxisId a, tile::NodeId root) const;
  double score(tile::AxisId a, const tile::Statement& store) const;

 private:
  double score(tile::AxisId a, uint32_t param, std::span<const tile::NodeId> indices) const;
  double visits(std::span<const tile::NodeId> nodes) const;

  const tile::Program& p_;
  std::vector<int64_t> extents_;
  std::vector<std::vector<int64_t>> shapes_;
};

}  // namespace tessera::codegen
