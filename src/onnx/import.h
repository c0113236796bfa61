// SPDX-License-Identifier: Apache-2.0
// Reads ONNX models into graphs. What an ONNX operator means is said by the operator records
// (ops/onnx_form.h); the importer knows by name only control flow and what is part of the file
// format (constants, functions).
//
// Shape subgraphs disappear: values that can be known while importing are tracked, constants as
// tensors and integers computed from shapes as symbolic expressions, and nodes that only served to
// compute them are dropped.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace tessera::onnx {

struct ImportOptions {
  /// Values of symbolic dimensions, by their name in the model, and of graph inputs of one element;
  /// the graph is then valid for these values.
  std::map<std::string, int64_t> bind = {};
  /// If given, collects the names of `bind` that the model has; otherwise every name must be one.
  std::set<std::string>* bound = nullptr;
  /// Sizes of graph inputs, by name: their symbolic dimensions are bound to them.
  std::map<std::string, Shape> shapes = {};
  /// Values of graph inputs, used only where a shape or parameter depends on one; the graph is then
  /// valid for these values.
  std::map<std::string, Tensor> values = {};
  /// Operators that no record covers become `barrier` nodes, with a warning each; otherwise they
  /// are an error.
  bool allow_barriers = false;
  std::function<void(const std::string&)> warn = {};
  /// If given, counts the nodes whose types were inferred, whatever becomes of the import.
  int64_t* inferred_nodes = nullptr;
};

/// Imports a model file; its external data is looked up beside it and mapped, not read.
/// Throws UserError: invalid_input (malformed), unsupported (naming the node or value) or
/// needs_value (a shape depends on a graph input that options.values does not give).
ir::Graph import_model(const std::string& path, const ImportOptions& options);

/// The same for a model that begins `offset` bytes into a file, and has no external data.
/// REQUIRES: the file is no shorter.
ir::Graph import_model_within(const std::string& path, int64_t offset,
                              const ImportOptions& options);

/// The same for a model in memory; `folder` is where external data may lie (empty: nowhere).
ir::Graph import_model_bytes(std::string_view bytes, const std::string& folder,
                             const ImportOptions& options);

/// Names of the model's inputs that are no initializers, without importing it.
std::vector<std::string> input_names(const std::string& path);
/// The operator of the model's last node, without importing it: what an ONNX node test is about.
std::string main_operator(const std::string& path);

/// Reads a file that holds one TensorProto, as the data sets of ONNX's node tests do.
Tensor read_tensor_file(const std::string& path);

}  // namespace tessera::onnx
