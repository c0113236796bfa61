// SPDX-License-Identifier: Apache-2.0
// The predicted time of a graph: nodes are gathered into the kernels that fusion makes of them, and
// every kernel takes the longer of its arithmetic and its memory traffic, plus a launch.
//
// Composites are expanded first, as the engine does. Views cost nothing; elementwise operators and
// moves join the kernel of their only consumer or producer; what depends on constants only costs
// nothing, because it is folded.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "cost/machine.h"
#include "cost/work.h"
#include "ir/graph.h"

namespace tessera::cost {

/// One node of a graph as the model sees it; operands are indices of earlier nodes.
struct CostNode {
  const ir::Node* node = nullptr;
  std::vector<ir::Value> inputs;  ///< Value::node is the index in the list; absent ones are absent
  bool is_result = false;
};

struct GraphCost {
  double seconds = 0;
  double flops = 0;       ///< of what is not constant
  double bytes = 0;       ///< read and written by all kernels
  double peak_bytes = 0;  ///< most bytes of values alive at once, in the order of the nodes
  int kernels = 0;
};

/// Caches the work of operator instances. Not thread-safe.
class CostModel {
 public:
  explicit CostModel(const Machine& machine) : machine_(machine) {}
  const Machine& machine() const { return machine_; }

  GraphCost cost(const ir::Graph& graph);
  /// REQUIRES: topological order.
  GraphCost cost(const std::vector<CostNode>& nodes);

 private:
  using Nodes = std::vector<CostNode>;
  uint64_t key(const CostNode& node, const Nodes& nodes) const;
  const Work& work(const CostNode& node, const Nodes& nodes);
  Nodes expand(const Nodes& nodes);
  void append(const CostNode& node, Nodes& into, std::vector<ir::Value>& results);
  GraphCost cost_expanded(const Nodes& nodes);

  Machine machine_;
  std::unordered_map<uint64_t, Work> known_;
  std::unordered_map<uint64_t, std::unique_ptr<const ir::Graph>> bodies_;  ///< of composites
};

}  // namespace tessera::cost
