// SPDX-License-Identifier: Apache-2.0
// What is known about the values of a graph while it is being built.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "onnx/symbolic.h"
#include "ops/builder.h"

namespace tessera::onnx {

/// One value's contents: a tensor, or a small tensor of symbolic integers.
struct Fact {
  std::optional<Tensor> value;
  std::optional<SymbolicTensor> symbolic;
  bool assumed = false;  ///< follows from a graph input's value that the caller gave
};

/// Work left for folding and for symbolic tracking, shared by all graphs of one import.
struct FoldBudget {
  double steps;
  int64_t bytes;
  double symbolic_steps;
};

/// Follows a growing graph and derives facts by the operators' own meanings.
class Facts {
 public:
  Facts(ops::Builder& builder, FoldBudget& budget) : builder_(&builder), budget_(&budget) {}

  /// Considers the nodes added since the last call.
  void update();
  void set(ir::Value value, Fact fact);
  const Fact* find(ir::Value value) const;

  /// The tensor of a value, or null. `assumed` ones only if asked for.
  const Tensor* tensor(ir::Value value, bool with_assumed) const;
  /// Contents as symbolic integers; nothing if unknown.
  std::optional<SymbolicTensor> symbolic(ir::Value value) const;

  /// The graph with every value that is known (and not assumed) replaced by a constant, and
  /// without what nothing uses any more. The facts follow no further changes.
  ir::Graph simplified(const ir::Graph& graph) const;

 private:
  void derive(ir::NodeId id);
  bool fold(const ir::Node& node, ir::NodeId id);
  bool track(const ir::Node& node, ir::NodeId id);

  ops::Builder* builder_;
  FoldBudget* budget_;
  ir::NodeId next_ = 0;
  std::map<ir::Value, Fact> facts_;
};

}  // namespace tessera::onnx
