// SPDX-License-Identifier: Apache-2.0
// Where in a graph the tile programs of users compute something: places that have the form of a
// program's reference.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "tile/program.h"

namespace tessera::plan {

using Kernels = std::vector<std::shared_ptr<const tile::File>>;

/// A value that a program computes from others.
struct KernelMatch {
  std::shared_ptr<const tile::File> kernel;  ///< with the sizes of this place
  std::vector<ir::Value> inputs;             ///< in the order of the program's
  ir::Value output;
  std::vector<ir::NodeId> nodes;  ///< that it stands for
};

/// Places that do not overlap, kernels in the given order first. A place matches when a reference,
/// expanded, has its operators, constants and attributes; leading axes that the reference lacks are
/// taken as one with its first, so a program for rows serves any number of them. Each match is
/// evaluated in f64 against its reference on random numbers, at its own sizes, before it counts.
/// REQUIRES: an expanded graph of known sizes. `warn` hears why a place cannot be used.
std::vector<KernelMatch> match_kernels(const ir::Graph& graph, const Kernels& kernels,
                                       const std::function<void(const std::string&)>& warn);

/// The shape with `rank` axes: leading ones multiplied, or ones put before.
Shape folded(const Shape& shape, size_t rank);

}  // namespace tessera::plan
