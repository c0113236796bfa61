// SPDX-License-Identifier: Apache-2.0
// The state of one import. A frame is one ONNX graph or function body while its nodes are imported;
// subgraphs see the names of the frames around them.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "onnx/facts.h"
#include "onnx/import.h"
#include "onnx/limits.h"
#include "onnx/tensor_proto.h"

namespace tessera::onnx {

using OpsetMap = std::map<std::string, int>;
using Attributes = std::map<std::string, const pb::AttributeProto*, std::less<>>;
using Nodes = google::protobuf::RepeatedPtrField<pb::NodeProto>;

/// A graph under construction: the model's own, or a region's.
struct Target {
  Target(std::string name, FoldBudget& budget, Target* around = nullptr)
      : builder(std::move(name)), facts(builder, budget), outer(around) {}
  ops::Builder builder;
  Facts facts;
  Target* outer;             ///< of a region: the graph around it
  int64_t counted_work = 0;  ///< of builder.work(): what the importer has counted
  /// Of a region: the outer values that became its inputs, in order, and the inputs.
  std::vector<ops::Val> captures = {};
  std::vector<ir::Value> captured_as = {};
};

struct Frame {
  Target* target = nullptr;
  Frame* outer = nullptr;  ///< whose names are visible; null for the model and for functions
  const OpsetMap* opsets = nullptr;
  const pb::GraphProto* graph = nullptr;  ///< null inside a function
  const Attributes* call = nullptr;       ///< attributes of the function call, for ref_attr_name
  int depth = 0;
  std::unordered_map<std::string, ops::Val> values;
  std::unordered_map<std::string, pb::TensorProto*> initializers;  ///< loaded when first used
  std::unordered_map<std::string, const pb::SparseTensorProto*> sparse_initializers;
  std::set<std::string> absent;  ///< inputs that a function call leaves out
};

class Importer {
 public:
  Importer(pb::ModelProto& model, const std::string& folder, const ImportOptions& options);
  ir::Graph run();

  /// Imports the nodes of `nodes` into the frame.
  void import_nodes(Frame& frame, const Nodes& nodes);
  void declare_initializers(Frame& frame, const pb::GraphProto& graph);

  /// The value of a name; throws UserError if there is none. Outer values become region inputs.
  ops::Val lookup(Frame& frame, const std::string& name);
  /// Null if no frame knows the name.
  ops::Val find(Frame& frame, const std::string& name);
  /// Binds a name; throws UserError if the frame has it already.
  void define(Frame& frame, const std::string& name, ops::Val value);

  /// Nodes of a subgraph added to the surrounding graph; returns its outputs.
  std::vector<ops::Val> inline_subgraph(Frame& frame, const pb::GraphProto& graph);
  struct Region {
    std::shared_ptr<const ir::Graph> graph;
    std::vector<ops::Val> captures;
  };
  /// A subgraph as a region whose inputs are the subgraph's, then the captured values.
  Region region(Frame& frame, const pb::GraphProto& graph,
                std::span<const ir::ValueType> input_types);
  /// The subgraph's outputs, from number `first` on, as those of the region under construction.
  void add_outputs(Frame& frame, const pb::GraphProto& graph, int first);
  /// A Loop with a known trip count as a scan.
  std::vector<ops::Val> import_loop(Frame& frame, const pb::NodeProto& node);

  /// Names of the model's inputs that a value is computed from.
  std::set<std::string> sources(const Target& target, ops::Val value) const;

  ir::ValueType value_type(const pb::ValueInfoProto& info);
  int opset(const Frame& frame, const std::string& domain) const;
  const ImportOptions& options() const { return options_; }
  ExternalFiles& files() { return files_; }
  FoldBudget& budget() { return budget_; }
  /// Throws when the frame is nested too deeply.
  Frame child(Frame& frame, Target& target) const;

 private:
  void import_node(Frame& frame, const pb::NodeProto& node);
  void import_control_flow(Frame& frame, const pb::NodeProto& node);
  void import_by_record(Frame& frame, const pb::NodeProto& node);
  void import_call(Frame& frame, const pb::NodeProto& node, const pb::FunctionProto& function);
  void import_barrier(Frame& frame, const pb::NodeProto& node, const std::string& reason);
  bool consumes_opaque(Frame& frame, const pb::NodeProto& node);
  /// The type that the model states for a value; opaque if it states none.
  ir::ValueType declared_type(const Frame& frame, const std::string& name);
  void import_inputs(Frame& frame);
  void set_properties(ir::GraphBuilder& graph) const;
  void finish_node(Frame& frame, const pb::NodeProto& node, ir::NodeId first,
                   const std::vector<ops::Val>& results);
  void check_types(const Target& target, ir::NodeId first) const;
  /// Throws when the model, small as it is, expands into too much work.
  void count_work(Target& target);
  /// Takes the sizes of dimensions from options.shapes.
  void bind_shapes(const pb::GraphProto& graph);
  /// What options.bind or options.shapes says of a dimension, by its name or symbol, or an input.
  std::optional<int64_t> binding(const std::string& name);
  /// Throws UserError when a name of options.bind is neither a dimension nor an input.
  void check_bindings() const;
  /// The value that options.values or options.bind give to an input.
  std::optional<Tensor> given_value(const std::string& name, const ir::ValueType& type);
  sym::Expr dimension(const pb::TensorShapeProto::Dimension& dim, const std::string& value,
                      int axis);

  pb::ModelProto& model_;
  const ImportOptions& options_;
  ExternalFiles files_;
  FoldBudget budget_{max_fold_steps_total, max_fold_bytes_total, max_symbolic_steps_total};
  OpsetMap opsets_;
  std::map<std::string, const pb::FunctionProto*> functions_;
  std::map<const pb::FunctionProto*, OpsetMap> function_opsets_;
  std::map<std::string, std::string> symbols_;  ///< our symbol -> the model's dim_param
  std::map<std::string, int64_t> sizes_;        ///< dimensions by name, from options.shapes
  std::set<std::string> bound_;                 ///< names of options.bind found in the inputs
  int64_t node_count_ = 0;                      ///< imported so far
  int64_t work_ = 0;                            ///< expression nodes made, in all targets
  int64_t stated_nodes_ = 0;                    ///< of the graph and of the functions, each once
};

/// "node 'X' (Conv)" as error messages begin.
std::string describe(const pb::NodeProto& node);
/// The domain with "ai.onnx" spelled "".
std::string normalized_domain(const std::string& domain);
/// Throws UserError unless `text` is well-formed UTF-8 without control characters.
void check_name(const std::string& text, const std::string& what);

}  // namespace tessera::onnx
