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

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace tessera::cost {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Independent chains hide the latency of fused multiply-adds on every current core. Loops over the
// sums are unrolled, so that the sums are registers: in memory they cost three quarters of the
// speed.
#ifdef __x86_64__
__attribute__((target("avx512f"), noinline)) float wide_loop(int rounds, float seed) {
  __m512 sum[12];
#pragma GCC unroll 12
  for (int k = 0; k < 12; ++k) sum[k] = _mm512_set1_ps(seed + static_cast<float>(k));
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(seed);
  for (int r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int k = 0; k < 12; ++k) sum[k] = _mm512_fmadd_ps(sum[k], a, b);
#pragma GCC unroll 12
  for (int k = 1; k < 12; ++k) sum[0] = _mm512_add_ps(sum[0], sum[k]);
  return _mm512_cvtss_f32(sum[0]);
}

// REQUIRES: 64-byte alignment, and bytes divisible by 256.
__attribute__((target("avx512f"), noinline)) float read_wide(const float* p, size_t bytes) {
  __m512 sum[4];
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) sum[k] = _mm512_setzero_ps();
  for (const float* end = p + bytes / 4; p < end; p += 64)
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sum[k] = _mm512_add_ps(sum[k], _mm512_load_ps(p + 16 * k));
  return _mm512_cvtss_f32(
      _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])));
}

__attribute__((target("avx2,fma"), noinline)) float half_loop(int rounds, float seed) {
  __m256 sum[12];
#pragma GCC unroll 12
  for (int k = 0; k < 12; ++k) sum[k] = _mm256_set1_ps(seed + static_cast<float>(k));
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(seed);
  for (int r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int k = 0; k < 12; ++k) sum[k] = _mm256_fmadd_ps(sum[k], a, b);
#pragma GCC unroll 12
  for (int k = 1; k < 12; ++k) sum[0] = _mm256_add_ps(sum[0], sum[k]);
  return _mm256_cvtss_f32(sum[0]);
}
#endif

__attribute__((noinline)) float plain_loop(int rounds, float seed) {
  using Vector = float __attribute__((vector_size(16)));
  Vector sum[8];
#pragma GCC unroll 8
  for (int k = 0; k < 8; ++k) sum[k] = Vector{} + (seed + static_cast<float>(k));
  const Vector a = Vector{} + 0.999f, b = Vector{} + seed;
  for (int r = 0; r < rounds; ++r)
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) sum[k] = sum[k] * a + b;
#pragma GCC unroll 8
  for (int k = 1; k < 8; ++k) sum[0] += sum[k];
  return sum[0][0];
}

__attribute__((noinline)) float read_plain(const float* p, size_t bytes) {
  using Vector = float __attribute__((vector_size(16)));
  Vector sum[4] = {};
  const auto* v = reinterpret_cast<const Vector*>(p);
  for (const Vector* end = v + bytes / 16; v < end; v += 4)
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sum[k] += v[k];
  return (sum[0] + sum[1] + sum[2] + sum[3])[0];
}

}  // namespace

double measure_flops(int repeats) {
  float (*loop)(int, float) = plain_loop;
  double per_round = 8.0 * 4 * 2;
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f")) {
    loop = wide_loop;
    per_round = 12.0 * 16 * 2;
  } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    loop = half_loop;
    per_round = 12.0 * 8 * 2;
  }
#endif
  constexpr int rounds = 50000;
  double best = 0;
  volatile float sink = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const auto start = Clock::now();
    sink = loop(rounds, 0.001f * static_cast<float>(repeat + 1));
    best = std::max(best, rounds * per_round / seconds_since(start));
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

double measure_read(size_t bytes, int repeats) {
  bytes = bytes / 256 * 256;
  std::vector<float> memory(bytes / 4 + 16, 1);
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  const float* from = memory.data() + ((address + 63) / 64 * 64 - address) / 4;
  float (*loop)(const float*, size_t) = read_plain;
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f")) loop = read_wide;
#endif
  double best = 0;
  volatile float sink = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const auto start = Clock::now();
    sink = loop(from, bytes);
    best = std::max(best, static_cast<double>(bytes) / seconds_since(start));
  }
  (void)sink;
  return best;
}

namespace {

double two_digits(double x) {
  const double unit = std::pow(10.0, std::floor(std::log10(x)) - 1);
  return std::round(x / unit) * unit;
}

constexpr int flops_repeats = 16;

Machine measure(int threads) {
  Machine m;
  m.threads = threads;
  m.flops_per_second = two_digits(measure_flops(flops_repeats)) * threads;
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
