// SPDX-License-Identifier: Apache-2.0
// Threads of the CPU engine. oneDNN runs on the OpenMP runtime, so our loops do too: there is one
// team of threads, and never more of them than a plan asked for.
#pragma once

#include <cstdint>

namespace tessera::backend::cpu {

/// While it lives, OpenMP (and with it oneDNN) uses `threads` threads in this thread's calls.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int previous_;
};

using ParallelBody = void (*)(void* data, int64_t begin, int64_t end);

/// Splits [0, count) into at most `threads` equal contiguous parts and runs the body on each, on
/// its own thread. The split depends on `count` and `threads` only, so results do not vary from run
/// to run. The body must not throw.
void parallel_ranges(int threads, int64_t count, ParallelBody body, void* data);

/// `f(begin, end)` in parallel over [0, count).
template <typename F>
void parallel_for(int threads, int64_t count, F f) {
  parallel_ranges(
      threads, count,
      [](void* data, int64_t begin, int64_t end) { (*static_cast<F*>(data))(begin, end); }, &f);
}

}  // namespace tessera::backend::cpu
