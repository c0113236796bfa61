// SPDX-License-Identifier: Apache-2.0
// Wall times of programs, alone and by turns.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "api/engine.h"
#include "base/rng.h"

namespace tessera::api {
namespace {

constexpr int fewest_runs = 5;
constexpr int bootstrap_draws = 2000;
constexpr size_t most_pairs = 1000;  // more would make the draws take longer than the measurement

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double time_once(Program& program, const std::vector<Tensor>& inputs) {
  const auto start = Clock::now();
  program.run(inputs);
  return 1e3 * seconds_since(start);
}

// Linear interpolation between order statistics. REQUIRES: sorted, not empty.
double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return quantile(values, 0.5);
}

Timing summarize(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return {quantile(times, 0.5), quantile(times, 0.1), quantile(times, 0.9), quantile(times, 0.99),
          static_cast<int>(times.size())};
}

}  // namespace

Timing measure(Program& program, const std::vector<Tensor>& inputs, double seconds) {
  time_once(program, inputs);
  time_once(program, inputs);
  std::vector<double> times;
  const auto start = Clock::now();
  while (static_cast<int>(times.size()) < fewest_runs || seconds_since(start) < seconds)
    times.push_back(time_once(program, inputs));
  return summarize(std::move(times));
}

PairTiming measure_pair(Program& first, Program& second, const std::vector<Tensor>& inputs,
                        double seconds) {
  time_once(first, inputs);
  time_once(second, inputs);
  std::vector<double> a, b, ratios;
  const auto start = Clock::now();
  while (static_cast<int>(a.size()) < fewest_runs ||
         (a.size() < most_pairs && seconds_since(start) < seconds)) {
    const bool swap = a.size() % 2 == 1;  // who runs on a cache warmed by the other alternates
    if (swap) b.push_back(time_once(second, inputs));
    a.push_back(time_once(first, inputs));
    if (!swap) b.push_back(time_once(second, inputs));
    ratios.push_back(b.back() / a.back());
  }
  PairTiming result;
  Rng rng(1);
  std::vector<double> medians, draw(ratios.size());
  for (int d = 0; d < bootstrap_draws; ++d) {
    for (double& r : draw)
      r = ratios[static_cast<size_t>(rng.integer(0, static_cast<int64_t>(ratios.size()) - 1))];
    medians.push_back(median(draw));
  }
  std::sort(medians.begin(), medians.end());
  result.ratio = median(ratios);
  result.ratio_low = quantile(medians, 0.025);
  result.ratio_high = quantile(medians, 0.975);
  result.first = summarize(std::move(a));
  result.second = summarize(std::move(b));
  return result;
}

}  // namespace tessera::api
