// SPDX-License-Identifier: Apache-2.0
// Loops over threads.
#include "backend/cpu/parallel.h"

#include <immintrin.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace tessera::backend::cpu {
namespace {

// About 20 µs: longer than the gap between two kernels, shorter than a time slice.
constexpr int spins = 1000;

// Waits until `value` is no longer `old`.
template <typename T>
void wait_while(const std::atomic<T>& value, T old) {
  for (int k = 0; k < spins; ++k) {
    if (value.load(std::memory_order_acquire) != old) return;
    _mm_pause();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

int available_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

// What this thread is in the region it runs.
struct Place {
  int number = 0, size = 1;
  bool inside = false;  // of a region of several threads, at any depth
};
thread_local Place place;
thread_local int max_threads = 0;  // 0: as many as there are processors

using RegionFn = void (*)(void*);

class Pool {
 public:
  void run(RegionFn fn, void* data, int size) {
    const std::lock_guard lock(regions_);
    while (static_cast<int>(workers_.size()) < size - 1) add_worker();
    fn_ = fn;
    data_ = data;
    size_ = size;
    remaining_.store(size - 1, std::memory_order_relaxed);
    for (int k = 0; k < size - 1; ++k) {
      workers_[k]->turn.fetch_add(1, std::memory_order_release);
      workers_[k]->turn.notify_one();
    }
    place = {0, size, true};
    fn(data);
    place = {};
    for (int left = remaining_.load(std::memory_order_acquire); left != 0;
         left = remaining_.load(std::memory_order_acquire))
      wait_while(remaining_, left);
  }

  // All threads of the region that is running meet.
  void barrier() {
    const uint32_t round = barrier_round_.load(std::memory_order_acquire);
    if (barrier_count_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
      barrier_count_.store(0, std::memory_order_relaxed);
      barrier_round_.fetch_add(1, std::memory_order_release);
      barrier_round_.notify_all();
    } else {
      wait_while(barrier_round_, round);
    }
  }

 private:
  struct alignas(64) Worker {
    std::atomic<uint32_t> turn{0};
  };

  void add_worker() {
    workers_.push_back(std::make_unique<Worker>());
    const int number = static_cast<int>(workers_.size());
    std::thread([this, worker = workers_.back().get(), number] {
      for (uint32_t turn = 0;; ++turn) {
        wait_while(worker->turn, turn);
        place = {number, size_, true};
        fn_(data_);
        place = {};
        if (remaining_.fetch_sub(1, std::memory_order_acq_rel) == 1) remaining_.notify_one();
      }
    }).detach();
  }

  std::mutex regions_;
  std::vector<std::unique_ptr<Worker>> workers_;
  RegionFn fn_ = nullptr;
  void* data_ = nullptr;
  int size_ = 1;
  alignas(64) std::atomic<int> remaining_{0};
  alignas(64) std::atomic<int> barrier_count_{0};
  std::atomic<uint32_t> barrier_round_{0};
};

// Never destroyed: its threads live as long as the process.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

void run_region(RegionFn fn, void* data, int size) {
  if (!place.inside && size > 1) return pool().run(fn, data, size);
  const Place outer = place;
  place = {0, 1, outer.inside};
  fn(data);
  place = outer;
}

int current_max_threads() {
  if (max_threads == 0) max_threads = available_processors();
  return max_threads;
}

}  // namespace

ThreadScope::ThreadScope(int threads) : previous_(max_threads) { max_threads = threads; }
ThreadScope::~ThreadScope() { max_threads = previous_; }

void parallel_ranges(int threads, int64_t count, ParallelBody body, void* data) {
  struct Ranges {
    int64_t parts, count;
    ParallelBody body;
    void* data;
  };
  Ranges ranges{std::min<int64_t>(threads, count), count, body, data};
  if (ranges.parts <= 1 || place.inside) {
    if (count > 0) body(data, 0, count);
    return;
  }
  const RegionFn part = [](void* p) {
    const Ranges& r = *static_cast<Ranges*>(p);
    r.body(r.data, r.count * place.number / r.parts, r.count * (place.number + 1) / r.parts);
  };
  run_region(part, &ranges, static_cast<int>(ranges.parts));
}

}  // namespace tessera::backend::cpu

// libgomp's interface, as far as oneDNN uses it.
extern "C" {

using namespace tessera::backend::cpu;

__attribute__((visibility("default"))) void GOMP_parallel(void (*fn)(void*), void* data,
                                                          unsigned threads, unsigned) {
  run_region(fn, data, threads == 0 ? current_max_threads() : static_cast<int>(threads));
}
__attribute__((visibility("default"))) void GOMP_barrier() {
  if (place.size > 1) pool().barrier();
}
__attribute__((visibility("default"))) int omp_get_max_threads() { return current_max_threads(); }
__attribute__((visibility("default"))) int omp_get_num_threads() { return place.size; }
__attribute__((visibility("default"))) int omp_get_thread_num() { return place.number; }
__attribute__((visibility("default"))) int omp_in_parallel() { return place.inside ? 1 : 0; }
}
