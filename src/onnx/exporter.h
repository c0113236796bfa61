// SPDX-License-Identifier: Apache-2.0
// The state of one export. A block is one of our graphs (the model, a region, a decomposition)
// being written into an ONNX graph.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "onnx/export.h"
#include "onnx/onnx.pb.h"
#include "ops/op_def.h"

namespace tessera::onnx {

/// An operator is only expressible in a newer operator set.
struct NeedsOpset {
  int version;
  std::string op;
};

struct Block {
  const ir::Graph* graph = nullptr;
  pb::GraphProto* out = nullptr;
  std::map<ir::Value, std::string> names;
  std::map<ir::Value, std::string> preferred;
  std::string prefix;  ///< of node names, inside a decomposition
};

class Exporter {
 public:
  Exporter(const ir::Graph& graph, int opset);
  /// Throws NeedsOpset.
  pb::ModelProto run();

  int opset() const { return opset_; }
  std::string unique(const std::string& base);
  std::string constant(const Tensor& tensor, const std::string& name = {});
  std::string dims(Block& block, const ir::Dims& dims);
  pb::NodeProto& emit(Block& block, std::string_view op_type,
                      const std::vector<std::string>& inputs, const ir::AttrMap& attrs,
                      int outputs);
  /// The constants, in the order of the model's initializers.
  const std::vector<Tensor>& tensors() const { return tensors_; }

 private:
  void write_signature(Block& block);
  void write_nodes(Block& block);
  void write_node(Block& block, ir::NodeId id);
  bool write_by_form(Block& block, ir::NodeId id, const ops::OnnxForm& form,
                     std::vector<std::string>& results);
  std::vector<std::string> write_by_default(Block& block, const ir::Node& node,
                                            const ops::OnnxForm& form);
  /// The nodes of `body`, a graph of simpler operators that computes the node.
  std::vector<std::string> write_expanded(Block& block, const ir::Node& node,
                                          const ir::Graph& body);
  std::vector<std::string> write_scan(Block& block, const ir::Node& node);
  std::vector<std::string> write_barrier(Block& block, const ir::Node& node);
  void bind(Block& block, ir::NodeId id, int first, const std::vector<std::string>& results);
  void write_outputs(Block& block, const std::vector<std::string>& names);
  void write_type(const ir::ValueType& type, pb::TypeProto& proto) const;
  std::string size(Block& block, const sym::Expr& e);
  std::string symbol(Block& block, const std::string& name);
  std::string binary(Block& block, const char* op, const std::string& a, const std::string& b);

  const ir::Graph& graph_;
  const Block* main_ = nullptr;  ///< of the model's graph
  int opset_;
  pb::ModelProto model_;
  std::set<std::string, std::less<>> used_;
  std::map<std::string, int, std::less<>> counters_;
  std::set<std::string, std::less<>> node_names_;
  std::map<std::string, std::string> sizes_;      ///< symbol -> value in the model's graph
  std::map<std::string, std::string> constants_;  ///< small constants by content
  std::vector<Tensor> tensors_;
  int depth_ = 0;
};

/// Metadata keys with this prefix carry value names from import to export.
inline constexpr std::string_view value_name_key = "onnx.value.";

void set_attribute(const std::string& name, const ir::AttrValue& value, pb::NodeProto& node);

}  // namespace tessera::onnx
