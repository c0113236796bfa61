// SPDX-License-Identifier: Apache-2.0
// Short loops that show the peaks.
#include "cost/machine.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

namespace tessera::cost {
namespace {

using Clock = std::chrono::steady_clock;
using Vector = float __attribute__((vector_size(64)));

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// 12 independent chains hide the latency of a fused multiply-add on every current core.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
__attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#endif
__attribute__((noinline)) float
multiply_add_loop(int rounds, float seed) {
  constexpr int chains = 12;
  Vector sum[chains];
  for (int k = 0; k < chains; ++k) sum[k] = Vector{} + (seed + static_cast<float>(k));
  const Vector a = Vector{} + 0.999f, b = Vector{} + seed;
  for (int r = 0; r < rounds; ++r)
    for (int k = 0; k < chains; ++k) sum[k] = sum[k] * a + b;
  Vector total{};
  for (int k = 0; k < chains; ++k) total += sum[k];
  float result = 0;
  for (int i = 0; i < 16; ++i) result += total[i];
  return result;
}

double measure_flops() {
  constexpr int rounds = 100000;
  double best = 0;
  volatile float sink = 0;
  for (int repeat = 0; repeat < 8; ++repeat) {
    const auto start = Clock::now();
    sink = multiply_add_loop(rounds, 0.001f * static_cast<float>(repeat + 1));
    best = std::max(best, rounds * 12.0 * 16 * 2 / seconds_since(start));
  }
  (void)sink;
  return best;
}

double measure_copy(size_t bytes, int repeats) {
  std::vector<char> from(bytes, 1), to(bytes, 2);
  double best = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const auto start = Clock::now();
    std::memcpy(to.data(), from.data(), bytes);
    __asm__ volatile("" : : "r"(to.data()) : "memory");
    best = std::max(best, 2.0 * static_cast<double>(bytes) / seconds_since(start));
  }
  return best;
}

double two_digits(double x) {
  const double unit = std::pow(10.0, std::floor(std::log10(x)) - 1);
  return std::round(x / unit) * unit;
}

Machine measure(int threads) {
  Machine m;
  m.threads = threads;
  m.flops_per_second = two_digits(measure_flops()) * threads;
  const double memory = two_digits(measure_copy(32 << 20, 4));
  // A few cores saturate a memory controller.
  m.bytes_per_second = memory * std::min(threads, 4);
  m.cache_bytes_per_second = std::max(memory, two_digits(measure_copy(256 << 10, 60))) * threads;
  m.launch_seconds = threads > 1 ? 3e-6 : 0.5e-6;
  return m;
}

}  // namespace

const Machine& this_machine(int threads) {
  static std::mutex mutex;
  static std::map<int, Machine> known;
  const std::lock_guard lock(mutex);
  threads = std::max(1, threads);
  const auto it = known.find(threads);
  return it != known.end() ? it->second : known.emplace(threads, measure(threads)).first->second;
}

}  // namespace tessera::cost
