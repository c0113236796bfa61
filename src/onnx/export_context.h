// SPDX-License-Identifier: Apache-2.0
// One of our nodes as the exporting forms of the operator records see it.
#pragma once

#include "onnx/exporter.h"

namespace tessera::onnx {

class ExportContext : public ops::OnnxExport {
 public:
  ExportContext(Exporter& exporter, Block& block, const ir::Node& node)
      : exporter_(exporter), block_(block), node_(node) {}

  int opset() const override { return exporter_.opset(); }
  const ir::Node& node() const override { return node_; }
  bool has_input(int k) const override;
  std::string input(int k) override;
  const ir::ValueType& input_type(int k) const override;
  int64_t onnx_type(DType type) const override;
  const ir::AttrValue* attr(std::string_view name) const override;
  std::string constant(const Tensor& tensor) override { return exporter_.constant(tensor); }
  std::string dims(const ir::Dims& dims) override { return exporter_.dims(block_, dims); }
  std::vector<std::string> emit(std::string_view op_type, std::vector<std::string> inputs,
                                ir::AttrMap attrs, int outputs) override;
  void result(std::vector<std::string> names) override { results_ = std::move(names); }
  [[noreturn]] void unsupported(const std::string& message) const override;

  const std::vector<std::string>& results() const { return results_; }

 private:
  Exporter& exporter_;
  Block& block_;
  const ir::Node& node_;
  std::vector<std::string> results_;
};

}  // namespace tessera::onnx
