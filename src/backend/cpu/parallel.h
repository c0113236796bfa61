// SPDX-License-Identifier: Apache-2.0
// Threads of the CPU engine: one pool for generated loops and for oneDNN, so that a plan never has
// more threads than it asked for.
//
// Debian's oneDNN starts threads through the OpenMP runtime libgomp, whose threads spin for
// milliseconds at the end of every region: on a busy machine the spinning thread keeps its sibling
// from the core that it waits for. The six functions of that interface which oneDNN calls are
// therefore defined here, over a pool whose threads wait for the next region for the time of a few
// wakings, offer their core to others meanwhile, and then sleep. The parts of a region are
// numbered; which thread runs a part does not matter to its result, so a caller whose workers are
// late runs their parts itself. A region inside a region runs on one thread, and so does a loop of
// ours that is started while another caller's region runs, or soon after a worker lost its core to
// another process; oneDNN's regions of different callers take turns.
#pragma once

#include <cstdint>

namespace tessera::backend::cpu {

/// While it lives, oneDNN uses `threads` threads in this thread's calls.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int previous_;
};

/// Forgets that a floating-point operation of this thread was invalid (IEEE 754: no number came of
/// numbers, or a NaN met an operation that has no NaN to give back, as the processor's minimum and
/// maximum do).
void clear_invalid();
/// Whether one was since, in this thread or in a parallel region that it started.
bool invalid_raised();

/// How many threads are worth their cost for work that takes one thread so long.
int useful_threads(double nanoseconds);
/// Rough time of one thread for generated code, products among it, that does so many operations on
/// floats and moves so many bytes, of which the caches hold some.
double product_nanoseconds(double flops, double bytes);

using ParallelBody = void (*)(void* data, int64_t begin, int64_t end);

/// Splits [0, count) into contiguous parts and runs the body on each, on at most `threads` threads.
/// The split depends on `count` and `threads` only, so results do not vary from run to run. The
/// body must not throw. Backward, every thread visits its parts from the last to the first.
void parallel_ranges(int threads, int64_t count, ParallelBody body, void* data,
                     bool backward = false);

/// `f(begin, end)` in parallel over [0, count).
template <typename F>
void parallel_for(int threads, int64_t count, F f, bool backward = false) {
  parallel_ranges(
      threads, count,
      [](void* data, int64_t begin, int64_t end) { (*static_cast<F*>(data))(begin, end); }, &f,
      backward);
}

}  // namespace tessera::backend::cpu
