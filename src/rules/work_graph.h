// SPDX-License-Identifier: Apache-2.0
// A graph that rewrites work on: nodes are added and values replaced in place, and the structure is
// kept free of equal nodes (common subexpressions) and of dead ones at every moment. Node records
// are shared between copies, so copying a WorkGraph for a search is cheap. Everything is
// deterministic: the same operations in the same order give the same node numbers, which is what
// makes derivations replayable.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "ir/graph.h"
#include "ops/op_def.h"

namespace tessera::rules {

/// What a WorkGraph does by itself; each can be disabled by its name in the pass table.
struct WorkOptions {
  bool merge_equal = true;         ///< common-subexpression
  bool fold_constants = true;      ///< fold-constants
  int64_t eager_elements = 16384;  ///< results up to this size are folded as nodes are added
  bool symbolic_counts = false;    ///< attributes that count (groups) may be symbols: for proofs
};

class WorkGraph {
 public:
  WorkGraph(const ir::Graph& graph, const WorkOptions& options = {});

  /// The live nodes as an immutable graph in topological order, inputs and outputs as they came.
  ir::Graph to_graph() const { return to_graph(results_); }
  /// The same with other outputs.
  ir::Graph to_graph(const std::vector<ir::GraphOutput>& outputs) const;

  /// For proofs: what the function `blocks` says of a value that is no constant.
  void assume_blocks(ir::Value v, sym::Expr count) { blocks_[v] = std::move(count); }
  const sym::Expr* assumed_blocks(ir::Value v) const {
    const auto it = blocks_.find(v);
    return it == blocks_.end() ? nullptr : &it->second;
  }

  // ---- reading
  size_t node_limit() const { return slots_.size(); }  ///< node ids are below this
  bool alive(ir::NodeId id) const { return slots_[id].alive; }
  const ir::Node& node(ir::NodeId id) const { return *slots_[id].node; }  ///< its inputs are empty
  const ops::OpDef& def(ir::NodeId id) const { return *slots_[id].def; }
  const std::vector<ir::Value>& inputs(ir::NodeId id) const { return slots_[id].inputs; }
  /// One entry for each use by a node.
  const std::vector<ir::NodeId>& users(ir::NodeId id) const { return slots_[id].users; }
  const ir::ValueType& type(ir::Value v) const { return slots_[v.node].node->outputs[v.index]; }
  /// Uses of all outputs of the node, graph outputs included.
  size_t use_count(ir::NodeId id) const { return slots_[id].users.size() + slots_[id].results; }
  bool is_result(ir::NodeId id) const { return slots_[id].results != 0; }
  /// True if the value depends on constants only.
  bool is_constant(ir::Value v) const { return slots_[v.node].constant; }
  /// The tensor of a "constant" node, or null.
  const Tensor* tensor(ir::Value v) const;
  size_t live_count() const { return live_; }
  const std::vector<ir::GraphOutput>& results() const { return results_; }
  /// Live nodes, each after its operands.
  std::vector<ir::NodeId> topological_order() const;
  /// True if `from` is `target` or is computed from it.
  bool depends_on(ir::NodeId from, ir::NodeId target) const;

  // ---- changing
  /// Adds a node, or finds an equal one. Throws UserError when the record refuses it.
  ir::NodeId add(std::string_view op, std::vector<ir::Value> inputs, ir::AttrMap attrs = {},
                 std::vector<std::shared_ptr<const ir::Graph>> regions = {});
  ir::Value add_value(std::string_view op, std::vector<ir::Value> inputs, ir::AttrMap attrs = {}) {
    return {add(op, std::move(inputs), std::move(attrs)), 0};
  }
  ir::Value add_constant(Tensor tensor);
  ir::Value add_scalar(double value, DType type);

  /// Uses of `from` become uses of `to`; nodes that become equal are merged, dead ones removed.
  /// REQUIRES: equal types, `to` does not depend on `from`.
  void replace(ir::Value from, ir::Value to);
  /// Forgets nodes from `mark` on. REQUIRES: nothing older uses them.
  void roll_back(size_t mark);
  /// Removes `id` and what only it uses, if nothing uses it.
  void remove_if_dead(ir::NodeId id);
  /// For people: name and provenance of a node made by a rewrite.
  void annotate(ir::NodeId id, const std::string& name, const std::string& rule,
                const std::string& sources);

  /// Nodes added, or whose operands changed, since the last call.
  std::vector<ir::NodeId> take_changed();

  const WorkOptions& options() const { return options_; }
  /// How often equal nodes were merged and constants folded.
  std::map<std::string, int> counts() const;

 private:
  struct Slot {
    std::shared_ptr<const ir::Node> node;
    const ops::OpDef* def = nullptr;
    std::vector<ir::Value> inputs;
    std::vector<ir::NodeId> users;
    uint32_t results = 0;
    bool alive = false, constant = false;
    uint64_t attrs_hash = 0;  ///< of operator and attributes
    uint64_t key = 0;         ///< of attrs_hash and inputs, under which the node is indexed
  };

  ir::NodeId append(Slot slot);
  std::optional<ir::Value> fold(const ir::Node& node, const ops::OpDef& def,
                                const std::vector<ir::Value>& inputs);
  ir::NodeId find_equal(const Slot& slot) const;
  void index(ir::NodeId id);
  void unindex(ir::NodeId id);
  void drop_user(ir::NodeId of, ir::NodeId user);

  WorkOptions options_;
  std::string name_;
  std::map<std::string, std::string> properties_;
  std::vector<Slot> slots_;
  std::vector<ir::NodeId> graph_inputs_;
  std::vector<ir::GraphOutput> results_;
  std::unordered_multimap<uint64_t, ir::NodeId> index_;
  std::vector<ir::NodeId> changed_;
  std::map<ir::Value, sym::Expr> blocks_;  // assumed
  size_t live_ = 0;
  int merged_ = 0, folded_ = 0;
};

}  // namespace tessera::rules
