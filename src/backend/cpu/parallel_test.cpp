// SPDX-License-Identifier: Apache-2.0
// The pool, called as our loops and as oneDNN call it.
#include "backend/cpu/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

extern "C" {
void GOMP_parallel(void (*fn)(void*), void* data, unsigned threads, unsigned flags);
void GOMP_barrier();
int omp_get_num_threads();
int omp_get_thread_num();
int omp_get_max_threads();
int omp_in_parallel();
}

namespace tessera::backend::cpu {
namespace {

TEST(Parallel, covers_every_element_once) {
  for (const int threads : {1, 2, 3, 8})
    for (const int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<int> seen(static_cast<size_t>(count), 0);
      parallel_for(threads, count, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
      });
      EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), int64_t{0}), count);
    }
}

TEST(Parallel, meets_at_barriers_and_numbers_its_threads) {
  struct Shared {
    std::atomic<int> arrived{0}, wrong{0};
  } shared;
  for (int round = 0; round < 50; ++round) {
    shared.arrived = 0;
    GOMP_parallel(
        [](void* data) {
          Shared& s = *static_cast<Shared*>(data);
          if (omp_get_num_threads() != 4 || omp_get_thread_num() >= 4 || !omp_in_parallel())
            ++s.wrong;
          for (int step = 1; step <= 3; ++step) {
            ++s.arrived;
            GOMP_barrier();
            if (s.arrived < 4 * step) ++s.wrong;
            GOMP_barrier();
          }
        },
        &shared, 4, 0);
    EXPECT_EQ(shared.arrived, 12);
  }
  EXPECT_EQ(shared.wrong, 0);
  EXPECT_FALSE(omp_in_parallel());
}

TEST(Parallel, runs_regions_of_several_callers_and_regions_within_regions) {
  std::atomic<int64_t> total{0};
  const auto caller = [&] {
    for (int k = 0; k < 100; ++k)
      parallel_for(3, 30, [&](int64_t begin, int64_t end) {
        parallel_for(3, end - begin, [&](int64_t b, int64_t e) { total += e - b; });
      });
  };
  std::thread first(caller), second(caller);
  first.join();
  second.join();
  EXPECT_EQ(total, 2 * 100 * 30);
}

TEST(Parallel, limits_threads_within_a_scope) {
  const int before = omp_get_max_threads();
  {
    const ThreadScope scope(3);
    EXPECT_EQ(omp_get_max_threads(), 3);
  }
  EXPECT_EQ(omp_get_max_threads(), before);
}

}  // namespace
}  // namespace tessera::backend::cpu
