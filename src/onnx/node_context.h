// SPDX-License-Identifier: Apache-2.0
// One ONNX node as the importing forms of the operator records see it.
#pragma once

#include "onnx/importer.h"
#include "ops/op_def.h"

namespace tessera::onnx {

class NodeContext : public ops::OnnxImport {
 public:
  NodeContext(Importer& importer, Frame& frame, const pb::NodeProto& node);

  ops::Builder& builder() override { return frame_.target->builder; }
  int opset() const override { return opset_; }
  std::string_view op_type() const override { return node_.op_type(); }
  int input_count() const override;
  bool has_input(int k) const override;
  ops::Val input(int k) override;
  int output_count() const override { return node_.output_size(); }
  bool wants_output(int k) const override;
  bool has_attr(std::string_view name) const override { return attrs_.contains(name); }
  int64_t attr_int(std::string_view name, int64_t fallback) const override;
  double attr_float(std::string_view name, double fallback) const override;
  std::string attr_string(std::string_view name, std::string fallback) const override;
  std::vector<int64_t> attr_ints(std::string_view name,
                                 std::vector<int64_t> fallback) const override;
  std::vector<double> attr_floats(std::string_view name,
                                  std::vector<double> fallback) const override;
  std::vector<std::string> attr_strings(std::string_view name) const override;
  std::optional<Tensor> attr_tensor(std::string_view name) const override;
  std::shared_ptr<const ir::Graph> attr_graph(std::string_view name,
                                              std::span<const ir::ValueType> input_types,
                                              std::vector<ops::Val>& captures) override;
  std::vector<ops::Val> inline_graph(std::string_view name) override;
  DType dtype_of(int64_t onnx_type) const override;
  std::optional<Tensor> try_value(int k) override;
  Tensor value(int k) override;
  ir::Dims dims(int k) override;
  std::optional<sym::Expr> try_size(int k) override;
  std::vector<int64_t> integers(int k) override;
  [[noreturn]] void fail(const std::string& message) const override;
  [[noreturn]] void unsupported(const std::string& message) const override;

  /// Inputs in order and attributes of the same names.
  std::vector<ops::Val> import_by_default(const ops::OpDef& def, const ops::OnnxForm& form);
  /// Attributes by name, references of a function body to its call resolved.
  const Attributes& attributes() const { return attrs_; }
  const pb::GraphProto& graph_attr(std::string_view name) const;

 private:
  const pb::AttributeProto* find(std::string_view name, pb::AttributeType type) const;
  ir::AttrValue converted(const std::string& name, ir::AttrKind kind) const;
  [[noreturn]] void needs_value(int k);
  std::string input_name(int k) const;

  Importer& importer_;
  Frame& frame_;
  const pb::NodeProto& node_;
  int opset_;
  Attributes attrs_;
};

}  // namespace tessera::onnx
