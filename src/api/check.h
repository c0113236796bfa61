// SPDX-License-Identifier: Apache-2.0
// Are two models the same function? Compared numerically with the float64 reference.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/options.h"
#include "ir/graph.h"

namespace tessera::api {

/// How far apart two tensors of one output are.
struct Difference {
  /// ‖y − x‖₂ over the scale; infinite when one holds a NaN or infinity where the other does not.
  double error = 0;
  int64_t worst_index = -1;  ///< flat index of the element that differs most
  double expected = 0, found = 0;
};

/// `scale`: what counts as a difference of size 1; 0 stands for ‖expected‖₂.
Difference compare(const Tensor& expected, const Tensor& found, double scale = 0);
/// ‖a − b‖₂, over what is finite in both.
double distance(const Tensor& a, const Tensor& b);

struct CheckOptions {
  int seeds = 2;  ///< how many inputs to draw
  uint64_t first_seed = 1;
  /// Allowed error; nothing: by the output's type (real_tolerance), or three times the error that A
  /// itself makes on the target where that is more (at most 20 times real_tolerance).
  std::optional<double> tolerance;
  plan::ReducedLaunches reduced;  ///< of B; A computes in f32
};

/// What "equal over the reals" allows an output of this type: 1e-4 for f32, and the equivalent.
double real_tolerance(DType type);

struct CheckedOutput {
  std::string name;
  double error = 0;           ///< of B, worst over the seeds
  double error_of_first = 0;  ///< of A as its target computes it: the rounding that A has itself
  double tolerance = 0;
  uint64_t seed = 0;
  Difference worst;
};

struct CheckReport {
  bool same = true;
  std::vector<CheckedOutput> outputs;
  size_t worst_output = 0;  ///< index into `outputs`
  int seeds = 0;
  std::string target;
};

/// Runs A and B on the target and A through the float64 reference, on the same random inputs. The
/// error of an output is ‖y − x‖ / ‖A(seed) − A(next seed)‖ with y from the reference: relative to
/// how far apart the model holds two inputs, so that a constant cannot pass. Throws UserError when
/// inputs or outputs differ in name, type or shape.
CheckReport check(const ir::Graph& a, const ir::Graph& b, const Options& options,
                  const CheckOptions& checking = {});

}  // namespace tessera::api
