// SPDX-License-Identifier: Apache-2.0
// Models from files, and the values they run on.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/options.h"
#include "ir/graph.h"

namespace tessera::api {

/// Reads `.onnx`, `.tsr` or `.plan`. `known` are values of inputs: symbolic dimensions are bound to
/// their sizes, and where a shape depends on an input's value the value is built in (the graph then
/// holds for these inputs only). `bound`, if given, collects the names of options.bind that the
/// model has; otherwise every name must be one. Throws UserError.
ir::Graph load_model(const std::string& path, const Options& options,
                     const NamedTensors& known = {}, std::set<std::string>* bound = nullptr);

/// Two models under the same bindings: a dimension may be symbolic in one of them only.
std::pair<ir::Graph, ir::Graph> load_models(const std::string& a, const std::string& b,
                                            const Options& options);

/// Writes `.onnx` or `.tsr`, whole or not at all. `opset` 0: the model's own.
void save_model(const ir::Graph& graph, const std::string& path, int opset = 0);

/// The graph with symbolic dimensions replaced; types are inferred anew.
ir::Graph bind_sizes(const ir::Graph& graph, const std::map<std::string, int64_t>& sizes);

/// Throws UserError naming an input with a symbolic dimension, and the option that binds it.
void require_concrete(const ir::Graph& graph);

/// Inputs in the order of the signature. Throws UserError when one is missing, unknown, or of
/// another type or shape.
std::vector<Tensor> arrange_inputs(const ir::Graph& graph, const NamedTensors& named);
NamedTensors name_inputs(const ir::Graph& graph, const std::vector<Tensor>& values);
NamedTensors name_outputs(const ir::Graph& graph, const std::vector<Tensor>& values);

/// Inputs drawn from a seed: floats are standard normal with a few offsets by channel, so that
/// networks tell seeds apart; integers are token ids in [0, 1000), fewer if a smaller table is
/// looked up, and 0 or 1 if they index nothing; booleans are fair coins.
/// REQUIRES: concrete shapes.
std::vector<Tensor> random_inputs(const ir::Graph& graph, uint64_t seed);

/// NumPy archives, by name.
NamedTensors read_inputs(const std::string& path);
void write_outputs(const std::string& path, const NamedTensors& tensors);

}  // namespace tessera::api
