// SPDX-License-Identifier: Apache-2.0
// Which kernels may compute in less than f32: chosen by measuring their times and what they do to
// the outputs of the whole model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/options.h"
#include "ir/graph.h"

namespace tessera::api {

struct PrecisionReport {
  /// A kernel that has a choice, and what was chosen.
  struct Kernel {
    size_t launch = 0;
    std::string name;
    std::vector<std::string> nodes;  ///< of the source that it computes
    codegen::Precision precision = codegen::Precision::f32;
    double f32_ms = 0;      ///< of the kernel in f32
    double reduced_ms = 0;  ///< in the chosen precision, or in the fastest one where f32 was chosen
    double error = 0;       ///< of the outputs when it alone computes in that precision
  };
  double tolerance = 0;
  /// Of the outputs, relative as in `check`: the largest over inputs on which nothing was chosen,
  /// against the program in f32; 0 when every kernel computes in f32.
  double error = 0;
  int seeds = 0;  ///< such inputs
  std::vector<Kernel> kernels;
  plan::ReducedLaunches reduced;  ///< for Options::reduced

  int reduced_count() const { return static_cast<int>(reduced.size()); }
};

/// Chooses for each product the precision that makes the program fastest while the relative error
/// of every output stays inside `tolerance` with a margin, on the inputs of some seeds; then
/// confirms it on the inputs of others, and takes kernels back until they confirm it. The errors
/// repeat with the same seeds; the choice depends on measured times too, so that it may differ from
/// call to call: `reduced` keeps it. REQUIRES: concrete shapes, options.target is "cpu".
PrecisionReport choose_precision(const ir::Graph& graph, const Options& options, double tolerance);

}  // namespace tessera::api
