// SPDX-License-Identifier: Apache-2.0
// The derivation of an optimized model as a text that anyone can replay:
//
//   tessera derivation 1
//   from HASH               identity of the graph that was given
//   disabled NAME…          what the search was told not to use
//   opset N                 operator set that the result was written with; 0: the model's own
//   step RULE ROOT ORDINAL NODES…
#pragma once

#include <string>

#include "api/options.h"
#include "ir/graph.h"
#include "rules/derivation.h"

namespace tessera::api {

std::string derivation_text(const ir::Graph& from, const rules::Derivation& steps,
                            const Options& options, int opset);

/// What a replay showed.
struct Replay {
  int steps = 0;
  std::string problem;  ///< why the derivation does not lead from the first model to the second
};

/// Applies the steps of `text` to `first` and compares what comes out, written and read as `second`
/// (the file `second_path`) was, with `second`, node by node. Throws UserError for a text that is
/// no derivation.
Replay replay(const ir::Graph& first, const ir::Graph& second, const std::string& second_path,
              const std::string& text, const Options& options);

}  // namespace tessera::api
