// SPDX-License-Identifier: Apache-2.0
// Loops over threads.
#include "backend/cpu/parallel.h"

#include <omp.h>

#include <algorithm>

namespace tessera::backend::cpu {

ThreadScope::ThreadScope(int threads) : previous_(omp_get_max_threads()) {
  if (previous_ != threads) omp_set_num_threads(threads);
}

ThreadScope::~ThreadScope() {
  if (omp_get_max_threads() != previous_) omp_set_num_threads(previous_);
}

void parallel_ranges(int threads, int64_t count, ParallelBody body, void* data) {
  const int parts = static_cast<int>(std::min<int64_t>(threads, count));
  if (parts <= 1) {
    if (count > 0) body(data, 0, count);
    return;
  }
#pragma omp parallel num_threads(parts)
  {
    // The runtime may give fewer threads than asked for.
    const int64_t team = omp_get_num_threads();
    for (int64_t part = omp_get_thread_num(); part < parts; part += team)
      body(data, count * part / parts, count * (part + 1) / parts);
  }
}

}  // namespace tessera::backend::cpu
