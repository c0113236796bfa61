// SPDX-License-Identifier: Apache-2.0
// Writes graphs as programs of the text language: one statement per node, each with its type.
#pragma once

#include <string>

#include "ir/graph.h"

namespace tessera::lang {

struct PrintOptions {
  /// Constants of more elements go to `weights` (as file("NAME", "key")) when that is not null,
  /// and otherwise into the text as base64.
  int64_t inline_elements = 32;
  std::map<std::string, Tensor>* weights = nullptr;
  std::string weights_name;  ///< the file's name in file("…", …)
  /// Large constants become `elided("digest")`: for people; the parser refuses it.
  bool elide = false;
};

/// The canonical text of a graph. Parsing it gives a graph of the same identity hash, with the same
/// input and output names and properties; names of nodes are kept where they are plain and unique.
/// Nodes that no output needs are left out. Throws UserError(unsupported) where an input and a
/// symbolic size have one name.
std::string print(const ir::Graph& graph);
std::string print(const ir::Graph& graph, const PrintOptions& options);

/// Writes PATH and, when there are large constants, the weights beside it as PATH's stem
/// + ".weights.npz". Each file appears whole or not at all.
void write_program(const ir::Graph& graph, const std::string& path);

/// "2*N + div(M, 4)" with names in backticks where they need them.
std::string spell_size(const sym::Expr& size);
/// "f32[N, 4]"
std::string spell_type(const ir::ValueType& type);

}  // namespace tessera::lang
