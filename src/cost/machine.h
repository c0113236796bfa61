// SPDX-License-Identifier: Apache-2.0
// What this machine can do at best: the numbers that turn flops and bytes into seconds.
#pragma once

#include <cstddef>

namespace tessera::cost {

struct Machine {
  int threads = 1;
  double flops_per_second = 1e11;  ///< f32 fused multiply-adds count as two, all threads together
  double bytes_per_second = 1e10;  ///< copying memory that fits no cache, read plus written
  double cache_bytes_per_second = 5e10;  ///< the same within the last-level cache
  double launch_seconds = 2e-6;          ///< starting one kernel on all threads
};

/// Measures the peaks of one thread in about 30 ms, once per process, and scales them to `threads`
/// (memory bandwidth saturates). Figures are rounded to two digits, the best of several tries, so
/// that a busy machine gives nearly the same ones. Thread-safe.
const Machine& this_machine(int threads);

/// What the calling thread reaches at this moment, the best of `repeats` tries: f32 operations a
/// second (a try takes about 0.3 ms), and bytes read plus written a second by copying `bytes`.
double measure_flops(int repeats);
double measure_copy(size_t bytes, int repeats);
/// Bytes that are read a second, of the same `bytes` again and again.
double measure_read(size_t bytes, int repeats);

}  // namespace tessera::cost
