// SPDX-License-Identifier: Apache-2.0
// How an operator record appears in ONNX: a list of versioned forms. Most forms say only the ONNX
// name; attributes of the same names and inputs of the same order are then mapped both ways. A form
// with functions handles everything else (inputs that are attributes here, renamed values …).
// The interfaces are implemented by the `onnx` module.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/builder.h"

namespace tessera::ops {

/// One ONNX node seen by an importing form. Everything throws UserError naming the node.
class OnnxImport {
 public:
  virtual ~OnnxImport() = default;
  virtual Builder& builder() = 0;
  virtual int opset() const = 0;  ///< version of the node's operator set domain in the model
  virtual std::string_view op_type() const = 0;

  virtual int input_count() const = 0;
  virtual bool has_input(int k) const = 0;
  virtual Val input(int k) = 0;  ///< absent optional inputs give an absent Val
  virtual int output_count() const = 0;
  virtual bool wants_output(int k) const = 0;  ///< the node names its k-th output

  virtual bool has_attr(std::string_view name) const = 0;
  virtual int64_t attr_int(std::string_view name, int64_t fallback) const = 0;
  virtual double attr_float(std::string_view name, double fallback) const = 0;
  virtual std::string attr_string(std::string_view name, std::string fallback) const = 0;
  virtual std::vector<int64_t> attr_ints(std::string_view name,
                                         std::vector<int64_t> fallback) const = 0;
  virtual std::vector<double> attr_floats(std::string_view name,
                                          std::vector<double> fallback) const = 0;
  virtual std::vector<std::string> attr_strings(std::string_view name) const = 0;
  virtual std::optional<Tensor> attr_tensor(std::string_view name) const = 0;
  /// A graph attribute as a region. Names it takes from outside become additional inputs; their
  /// values are appended to `captures`. `input_types` are the types of the subgraph's own inputs
  /// (empty: as the subgraph declares them).
  virtual std::shared_ptr<const ir::Graph> attr_graph(std::string_view name,
                                                      std::span<const ir::ValueType> input_types,
                                                      std::vector<Val>& captures) = 0;
  /// Adds the nodes of a graph attribute (If branch) to the surrounding graph.
  virtual std::vector<Val> inline_graph(std::string_view name) = 0;
  /// ONNX's element type number as a DType; throws UserError(unsupported) for others.
  virtual DType dtype_of(int64_t onnx_type) const = 0;

  /// The value of an input if it can be known while importing: an initializer, a folded
  /// subexpression, or the value of a graph input that the caller bound.
  virtual std::optional<Tensor> try_value(int k) = 0;
  /// The same; throws UserError(needs_value) naming the graph inputs it depends on.
  virtual Tensor value(int k) = 0;
  /// Contents of an integer tensor of rank 0 or 1 that may be symbolic (computed from shapes).
  virtual ir::Dims dims(int k) = 0;
  /// A single number that may be symbolic, of any type: sizes survive a detour through floats.
  virtual std::optional<sym::Expr> try_size(int k) = 0;
  /// Contents of an integer tensor of rank 0 or 1 where only numbers make sense (axes, pads).
  virtual std::vector<int64_t> integers(int k) = 0;

  [[noreturn]] virtual void fail(const std::string& message) const = 0;         ///< malformed
  [[noreturn]] virtual void unsupported(const std::string& message) const = 0;  ///< not covered

  /// Short for builder().op(…).
  Val op(std::string_view name, std::vector<Val> inputs, ir::AttrMap attrs = {}) {
    return builder().op(name, std::move(inputs), std::move(attrs));
  }
};

/// One node of ours that an exporting form writes as ONNX nodes.
class OnnxExport {
 public:
  virtual ~OnnxExport() = default;
  virtual int opset() const = 0;
  virtual const ir::Node& node() const = 0;
  virtual bool has_input(int k) const = 0;
  virtual std::string input(int k) = 0;  ///< ONNX name of an input value
  virtual const ir::ValueType& input_type(int k) const = 0;
  virtual int64_t onnx_type(DType type) const = 0;
  /// Attribute of the node or the record's default, as stored.
  virtual const ir::AttrValue* attr(std::string_view name) const = 0;
  /// An attribute of kind dims. REQUIRES: it is there.
  ir::Dims attr_dims(std::string_view name) const {
    const ir::AttrValue& value = *attr(name);
    if (const auto* ints = std::get_if<std::vector<int64_t>>(&value))
      return {ints->begin(), ints->end()};
    return std::get<ir::Dims>(value);
  }
  /// Names of new constants: an initializer.
  virtual std::string constant(const Tensor& tensor) = 0;
  /// An i64 vector; symbolic dimensions are computed by Shape and Gather nodes from graph inputs.
  virtual std::string dims(const ir::Dims& dims) = 0;
  /// Writes one ONNX node and returns the names of its outputs. The last nodes written with
  /// `final` outputs define the node's outputs.
  virtual std::vector<std::string> emit(std::string_view op_type, std::vector<std::string> inputs,
                                        ir::AttrMap attrs = {}, int outputs = 1) = 0;
  /// Declares which ONNX values are the outputs of the node.
  virtual void result(std::vector<std::string> names) = 0;
  [[noreturn]] virtual void unsupported(const std::string& message) const = 0;
};

/// One version of one ONNX operator that maps to a record.
struct OnnxForm {
  std::string op;           ///< ONNX op_type
  int since = 1;            ///< first operator set version of this form
  std::string domain = {};  ///< "" is ai.onnx
  /// Null: inputs in order, attributes of the same names (others are an error unless listed in
  /// `ignored`).
  std::function<std::vector<Val>(OnnxImport&)> import = {};
  /// Null with a null `import`: the inverse of the default mapping. Null with an import function:
  /// the form is not used for export.
  std::function<void(OnnxExport&)> export_ = {};
  std::vector<std::string> ignored = {};  ///< ONNX attributes without influence on the result
  bool export_only = false;               ///< another record's form imports this operator
};

}  // namespace tessera::ops
