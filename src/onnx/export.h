// SPDX-License-Identifier: Apache-2.0
// Writes graphs as portable ONNX models: operators of ai.onnx only (and the unknown operators that
// the model came with). A record is written by its own ONNX form, else by its decomposition. Names
// and order of inputs and outputs, names of untouched nodes and values, and symbolic dimensions are
// kept; why a node exists is written to its metadata_props.
#pragma once

#include <cstdint>
#include <string>

#include "ir/graph.h"

namespace tessera::onnx {

struct ExportOptions {
  /// Operator set version; 0: the one the model was imported with, or a newer one if an operator
  /// needs it (a version asked for here is never exceeded: that is a UserError).
  int opset = 0;
  /// Weights beyond this many bytes go to a file beside the model, PATH.data.
  int64_t external_above = int64_t{1536} << 20;
};

/// Writes the model whole or not at all (temporary file, then rename). Throws UserError when an
/// operator has no ONNX form or the file cannot be written.
void export_model(const ir::Graph& graph, const std::string& path, const ExportOptions& options);

/// The model as bytes. REQUIRES: its weights have less than 2 GB.
std::string export_model_bytes(const ir::Graph& graph, const ExportOptions& options);

}  // namespace tessera::onnx
