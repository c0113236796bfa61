// SPDX-License-Identifier: Apache-2.0
// The pool, called as our loops and as oneDNN call it.
#include "backend/cpu/parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
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

TEST(Parallel, finds_its_threads_awake_asleep_or_going_to_sleep) {
  for (int round = 0; round < 300; ++round) {
    std::atomic<int64_t> total{0};
    parallel_for(3, 100, [&](int64_t begin, int64_t end) { total += end - begin; });
    ASSERT_EQ(total, 100);
    if (round % 3 == 1) std::this_thread::sleep_for(std::chrono::microseconds(120 + round % 60));
    if (round % 30 == 2) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

// More threads than cores, so that workers lose their cores and callers work alone for a while.
TEST(Parallel, stays_right_when_threads_outnumber_the_cores) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> neighbours;
  for (unsigned k = 0; k < std::thread::hardware_concurrency(); ++k)
    neighbours.emplace_back([&] {
      while (!stop) {
      }
    });
  std::vector<int> seen(1 << 16);
  for (int round = 1; round <= 200; ++round) {
    parallel_for(2, 1 << 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
    });
    EXPECT_EQ(std::count(seen.begin(), seen.end(), round), 1 << 16);
  }
  stop = true;
  for (std::thread& t : neighbours) t.join();
}

TEST(Parallel, visits_parts_backward) {
  std::mutex mutex;
  std::map<std::thread::id, std::vector<int64_t>> begins;
  std::vector<int> seen(80, 0);
  parallel_for(
      2, 80,
      [&](int64_t begin, int64_t end) {
        const std::lock_guard lock(mutex);
        begins[std::this_thread::get_id()].push_back(begin);
        for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
      },
      true);
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), 80);
  // In each half every thread goes back.
  for (const auto& [id, list] : begins)
    for (const bool first : {false, true}) {
      std::vector<int64_t> half;
      for (const int64_t begin : list)
        if ((begin < 40) == first) half.push_back(begin);
      EXPECT_TRUE(std::is_sorted(half.rbegin(), half.rend()));
    }
}

TEST(Parallel, collects_invalid_operations_of_all_threads) {
  for (int round = 0; round < 50; ++round) {
    clear_invalid();
    parallel_for(2, 8, [](int64_t, int64_t end) {
      volatile double zero = 0, quotient = 1;
      if (end == 8) quotient = zero / zero;
      (void)quotient;
    });
    EXPECT_TRUE(invalid_raised());
    clear_invalid();
    parallel_for(2, 8, [](int64_t, int64_t) {});
    EXPECT_FALSE(invalid_raised());
  }
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
