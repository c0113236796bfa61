// SPDX-License-Identifier: Apache-2.0
// Numeric comparison of models.
#include "api/check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "api/engine.h"
#include "api/load.h"
#include "base/check.h"

namespace tessera::api {
namespace {

// Two orders of the same sums differ by about as much as each does from the exact result; deep
// models amplify that, and then the model's own rounding is the yardstick, within reason.
constexpr double rounding_factor = 3, largest_factor = 20;

double value_at(const Tensor& t, int64_t i) {
  return is_float(t.type()) ? t.float_at(i) : static_cast<double>(t.integer_at(i));
}

std::string signature(const ir::Node& input) {
  return fmt::format("{}: {}", input.name, input.outputs[0].to_string());
}

void require_same_interface(const ir::Graph& a, const ir::Graph& b) {
  TESSERA_USER_CHECK(a.inputs().size() == b.inputs().size(), "the models have {} and {} inputs",
                     a.inputs().size(), b.inputs().size());
  for (size_t k = 0; k < a.inputs().size(); ++k) {
    const std::string x = signature(a.node(a.inputs()[k])), y = signature(b.node(b.inputs()[k]));
    TESSERA_USER_CHECK(x == y, "input {} is '{}' in the first model and '{}' in the second", k, x,
                       y);
  }
  TESSERA_USER_CHECK(a.outputs().size() == b.outputs().size(), "the models have {} and {} outputs",
                     a.outputs().size(), b.outputs().size());
  for (size_t k = 0; k < a.outputs().size(); ++k) {
    const auto &x = a.outputs()[k], &y = b.outputs()[k];
    const std::string tx = a.type(x.value).to_string(), ty = b.type(y.value).to_string();
    TESSERA_USER_CHECK(x.name == y.name && tx == ty,
                       "output {} is '{}: {}' in the first model and '{}: {}' in the second", k,
                       x.name, tx, y.name, ty);
  }
}

}  // namespace

Difference compare(const Tensor& expected, const Tensor& found, double scale) {
  TESSERA_USER_CHECK(expected.shape() == found.shape(), "shapes {} and {} differ",
                     shape_to_string(expected.shape()), shape_to_string(found.shape()));
  Difference result;
  double squares = 0, norm = 0, worst = -1;
  bool unlike = false;
  for (int64_t i = 0; i < expected.size(); ++i) {
    const double y = value_at(expected, i), x = value_at(found, i);
    double d = std::abs(y - x);
    if (y == x || (std::isnan(y) && std::isnan(x))) d = 0;
    if (!std::isfinite(d)) {
      // A float that overflowed to infinity where float64 did not is a difference all the same.
      unlike = true;
      d = std::numeric_limits<double>::infinity();
    } else {
      squares += d * d;
    }
    if (std::isfinite(y)) norm += y * y;
    if (d > worst) {
      worst = d;
      result.worst_index = i;
      result.expected = y;
      result.found = x;
    }
  }
  const double size = scale > 0 ? scale : std::sqrt(norm);
  const double error = std::sqrt(squares);
  result.error = unlike       ? std::numeric_limits<double>::infinity()
                 : error == 0 ? 0
                 : size > 0   ? error / size
                              : error;
  return result;
}

double distance(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return 0;
  double squares = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double d = value_at(a, i) - value_at(b, i);
    if (std::isfinite(d)) squares += d * d;
  }
  return std::sqrt(squares);
}

double real_tolerance(DType type) {
  switch (type) {
    case DType::f64: return 1e-10;
    case DType::f32: return 1e-4;
    case DType::f16: return 2e-2;
    case DType::bf16: return 1e-1;
    default: return 0;  // integers and booleans are exact
  }
}

CheckReport check(const ir::Graph& a, const ir::Graph& b, const Options& options,
                  const CheckOptions& checking) {
  require_same_interface(a, b);
  Options reference = options;
  reference.target = "ref";
  report_progress(options, "compiling both models");
  const auto exact = compile(a, reference);
  // The user's kernels are checked wherever they match, faster or not.
  Options own = options, second_options = options;
  own.kernels.clear();
  own.reduced.clear();
  own.exact = true;
  second_options.force_kernels = true;
  second_options.reduced = checking.reduced;
  const auto first = compile(a, own), second = compile(b, second_options);
  const int seeds = std::max(1, checking.seeds);
  std::vector<std::vector<Tensor>> y, xa, xb;
  for (int s = 0; s <= seeds; ++s) {  // one more for A, for the scale of the last seed
    const auto inputs = random_inputs(a, checking.first_seed + static_cast<uint64_t>(s));
    xa.push_back(first->run(inputs));
    if (s == seeds) break;
    xb.push_back(second->run(inputs));
    report_progress(options, fmt::format("seed {} of {}: float64 reference", s + 1, seeds));
    y.push_back(exact->run(inputs));
  }
  CheckReport report;
  report.seeds = seeds;
  report.target = options.target;
  double worst_excess = -1;
  for (size_t k = 0; k < a.outputs().size(); ++k) {
    CheckedOutput out;
    out.name = a.outputs()[k].name;
    out.tolerance = checking.tolerance.value_or(real_tolerance(a.type(a.outputs()[k].value).dtype));
    for (int s = 0; s < seeds; ++s) {
      const double spread = distance(xa[s][k], xa[s + 1][k]);
      const Difference d = compare(y[s][k], xb[s][k], spread);
      out.error_of_first = std::max(out.error_of_first, compare(y[s][k], xa[s][k], spread).error);
      if (s > 0 && !(d.error > out.error)) continue;
      out.error = d.error;
      out.worst = d;
      out.seed = checking.first_seed + static_cast<uint64_t>(s);
    }
    if (!checking.tolerance && out.tolerance > 0)
      out.tolerance = std::max(out.tolerance, std::min(rounding_factor * out.error_of_first,
                                                       largest_factor * out.tolerance));
    const double excess = out.tolerance > 0 ? out.error / out.tolerance : out.error;
    if (excess > worst_excess) {
      worst_excess = excess;
      report.worst_output = k;
    }
    report.same = report.same && out.error <= out.tolerance;
    report.outputs.push_back(std::move(out));
  }
  return report;
}

}  // namespace tessera::api
