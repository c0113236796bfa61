// SPDX-License-Identifier: Apache-2.0
// Plan files: what `optimize --plan` decided, so that `run` and `bench` need no search.
//
//   tessera plan 1
//   {"processor": …, "threads": …, "kernels": [texts of the user's tile programs that it uses],
//    "reduced": [[launch, name, precision], …]}
//   the rewritten model, as ONNX
//
// A plan holds no machine code: it is compiled for the processor that it meets, so it is never run
// wrongly elsewhere; the reader is told when it was made on another one.
#pragma once

#include <string>
#include <vector>

#include "api/options.h"
#include "ir/graph.h"

namespace tessera::api {

struct Plan {
  std::string processor;  ///< that it was made on
  int threads = 1;
  plan::ReducedLaunches reduced;  ///< on another processor it is the plan's f32 that is run
  std::vector<std::string> kernels;
  int64_t model_offset = 0;  ///< where the ONNX model begins; it ends with the file
};

/// By the name: `.plan`.
bool is_plan(const std::string& path);

/// Written whole or not at all. REQUIRES: the weights have less than 2 GB.
void write_plan(const ir::Graph& graph, const std::string& path, const Options& options,
                const plan::ReducedLaunches& reduced = {});

/// Throws UserError when the file is no plan.
Plan read_plan(const std::string& path);

/// The options with what the plan decided, where the caller left it open; as they are for a model.
/// The plan's kernels are checked again.
Options options_for(const std::string& path, Options options);

}  // namespace tessera::api
