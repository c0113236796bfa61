// SPDX-License-Identifier: Apache-2.0
// Graphs made ready to run on a target, and how fast they are.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/options.h"
#include "ir/graph.h"

namespace tessera::api {

/// What became of a kernel of the user's.
struct KernelChoice {
  std::string name;
  int places = 0;     ///< where its reference matches
  bool used = false;  ///< at all of them, or at none
  /// Time of the program with it over the time without, with a 95 % interval; nothing when it was
  /// not measured.
  std::optional<double> ratio;
  double ratio_low = 0, ratio_high = 0;
};

/// A graph compiled for one target. Not thread-safe.
class Program {
 public:
  virtual ~Program() = default;
  /// `inputs` in the order of graph.inputs().
  virtual std::vector<Tensor> run(const std::vector<Tensor>& inputs) = 0;
  /// Bytes of intermediate values at their peak; 0 where the target does not say.
  virtual size_t peak_bytes() const = 0;
  /// One for each of options.kernels.
  virtual std::vector<KernelChoice> kernels() const { return {}; }
};

/// The targets that options.target may name: "cpu", and "ref", the float64 reference.
std::vector<std::string> targets();

/// REQUIRES: concrete shapes. Throws UserError for an unknown target and for nodes that the target
/// cannot run. A graph that is given away lets its constants go as soon as the program has them in
/// a form of its own.
std::unique_ptr<Program> compile(ir::Graph graph, const Options& options);

/// Quantiles of wall times in milliseconds.
struct Timing {
  double median_ms = 0, p10_ms = 0, p90_ms = 0, p99_ms = 0;
  int runs = 0;
};

/// Runs for about `seconds` (at least 5 times, after warming up).
Timing measure(Program& program, const std::vector<Tensor>& inputs, double seconds);

/// Two programs measured by turns, so that what disturbs the machine disturbs both.
struct PairTiming {
  Timing first, second;
  /// second / first: median of the pairs' ratios with a 95 % bootstrap interval.
  double ratio = 1, ratio_low = 1, ratio_high = 1;
};
PairTiming measure_pair(Program& first, Program& second, const std::vector<Tensor>& inputs,
                        double seconds);

}  // namespace tessera::api
