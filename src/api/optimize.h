// SPDX-License-Identifier: Apache-2.0
// A model made faster, with the evidence.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "api/check.h"
#include "api/engine.h"
#include "api/precision.h"
#include "rules/derivation.h"

namespace tessera::api {

struct OptimizeSettings {
  bool measure = true;  ///< before and after, by turns
  bool check = true;    ///< against the float64 reference, on fresh inputs
  double measure_seconds = 4;
  /// As CheckOptions::tolerance; where it is given, products may compute in reduced precision.
  std::optional<double> tolerance;
};

struct OptimizeReport {
  ir::Graph graph;  ///< the faster program; the input's own when `kept_input` says why
  std::string kept_input;
  std::map<std::string, int> operators_before, operators_after;  ///< by type, constants left out
  std::map<std::string, int> rules_used;
  rules::Derivation derivation;  ///< from the input to `graph`
  std::string stop_reason;
  double predicted_before_ms = 0, predicted_after_ms = 0;
  std::optional<PairTiming> timing;  ///< nothing: not measured, `not_measured` says why
  std::string not_measured;
  size_t peak_bytes_before = 0, peak_bytes_after = 0;
  std::optional<CheckReport> checked;
  std::vector<KernelChoice> kernels;  ///< what became of options.kernels in the faster program
  std::optional<PrecisionReport> precision;  ///< of `graph`, where a tolerance was given
  double search_seconds = 0;
};

/// Searches for a faster program, measures both and compares both with the float64 reference. Never
/// returns a program that was measured slower than the input beyond noise, or that fails the check:
/// then a search without the rules that only the predicted cost speaks for is tried, then the input
/// is kept. Under a tolerance, precisions are chosen for what is returned.
/// Symbolic dimensions and barriers are kept; such a model cannot be measured or checked.
OptimizeReport optimize(const ir::Graph& graph, const Options& options,
                        const OptimizeSettings& settings = {});

/// The rewrites that cost little time, without measuring: what `run` and `bench` apply.
ir::Graph optimize_quickly(const ir::Graph& graph, const Options& options);

/// Operators by type; inputs and constants are not counted.
std::map<std::string, int> count_operators(const ir::Graph& graph);

struct OperatorCounts {
  int before = 0, after = 0;
};
/// The report's two counts side by side, by type.
std::map<std::string, OperatorCounts> operators_by_type(const OptimizeReport& report);

}  // namespace tessera::api
