// SPDX-License-Identifier: Apache-2.0
// Loops over threads.
#include "backend/cpu/parallel.h"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/processors.h"

namespace tessera::backend::cpu {
namespace {

// About 20 µs: longer than the gap between two kernels, shorter than a time slice.
constexpr int spins = 1000;
constexpr int parts_per_thread = 4;

// Waits until `value` is no longer `old`.
template <typename T>
void wait_while(const std::atomic<T>& value, T old) {
  for (int k = 0; k < spins; ++k) {
    if (value.load(std::memory_order_acquire) != old) return;
    _mm_pause();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

// What this thread is in the region it runs.
struct Place {
  int number = 0, size = 1;
  bool inside = false;  // of a region of several threads, at any depth
};
thread_local Place place;
thread_local int max_threads = 0;  // 0: as many as there are processors

using RegionFn = void (*)(void*);

// A region is a number of parts. Any thread of the pool may claim the next part, the caller too: on
// a busy machine, where a worker may come late, the caller does its part.
class Pool {
 public:
  // Runs `parts` parts on at most `threads` threads. REQUIRES: parts that meet at barriers are no
  // more than threads.
  void run(RegionFn fn, void* data, int parts, int threads) {
    const std::lock_guard lock(regions_);
    run_locked(fn, data, parts, threads);
  }

  // The same, unless another caller's region runs.
  bool try_run(RegionFn fn, void* data, int parts, int threads) {
    const std::unique_lock lock(regions_, std::try_to_lock);
    if (lock) run_locked(fn, data, parts, threads);
    return lock.owns_lock();
  }

  // All parts of the region that is running meet.
  void barrier(int parts) {
    const uint32_t round = barrier_round_.load(std::memory_order_acquire);
    if (barrier_count_.fetch_add(1, std::memory_order_acq_rel) + 1 == parts) {
      barrier_count_.store(0, std::memory_order_relaxed);
      barrier_round_.fetch_add(1, std::memory_order_release);
      barrier_round_.notify_all();
    } else {
      wait_while(barrier_round_, round);
    }
  }

 private:
  // A ticket: number of the region, its parts, and the next part to be claimed.
  static constexpr int region_shift = 32, parts_shift = 16;
  static constexpr uint64_t mask = 0xffff;

  struct alignas(64) Worker {
    std::atomic<uint32_t> turn{0};
  };

  void run_locked(RegionFn fn, void* data, int parts, int threads) {
    invalid_.store(false, std::memory_order_relaxed);
    while (static_cast<int>(workers_.size()) < threads - 1) add_worker();
    fn_ = fn;
    data_ = data;
    remaining_.store(parts, std::memory_order_relaxed);
    const uint64_t region = (ticket_.load(std::memory_order_relaxed) >> region_shift) + 1;
    ticket_.store(region << region_shift | static_cast<uint64_t>(parts) << parts_shift,
                  std::memory_order_release);
    for (int k = 0; k < threads - 1; ++k) {
      workers_[k]->turn.fetch_add(1, std::memory_order_release);
      workers_[k]->turn.notify_one();
    }
    work(false);
    for (int left = remaining_.load(std::memory_order_acquire); left != 0;
         left = remaining_.load(std::memory_order_acquire))
      wait_while(remaining_, left);
    if (invalid_.load(std::memory_order_relaxed)) _mm_setcsr(_mm_getcsr() | _MM_EXCEPT_INVALID);
  }

  // Runs parts of the current region until none is left to claim. While a claimed part runs, the
  // region cannot end, so what describes it stays as it is.
  void work(bool is_worker) {
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    while ((ticket & mask) < (ticket >> parts_shift & mask)) {
      if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) continue;
      place = {static_cast<int>(ticket & mask), static_cast<int>(ticket >> parts_shift & mask),
               true};
      if (is_worker) clear_invalid();
      fn_(data_);
      place = {};
      if (invalid_raised()) invalid_.store(true, std::memory_order_relaxed);
      if (remaining_.fetch_sub(1, std::memory_order_acq_rel) == 1) remaining_.notify_one();
      ticket = ticket_.load(std::memory_order_acquire);
    }
  }

  void add_worker() {
    workers_.push_back(std::make_unique<Worker>());
    std::thread([this, worker = workers_.back().get()] {
      uint32_t turn = 0;
      while (true) {
        wait_while(worker->turn, turn);
        turn = worker->turn.load(std::memory_order_acquire);
        work(true);
      }
    }).detach();
  }

  std::mutex regions_;
  std::vector<std::unique_ptr<Worker>> workers_;
  RegionFn fn_ = nullptr;
  void* data_ = nullptr;
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<int> remaining_{0};
  std::atomic<bool> invalid_{false};  // an operation of the region was invalid
  alignas(64) std::atomic<int> barrier_count_{0};
  std::atomic<uint32_t> barrier_round_{0};
};

// Never destroyed: its threads live as long as the process.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

void run_region(RegionFn fn, void* data, int parts, int threads) {
  if (!place.inside && threads > 1) return pool().run(fn, data, parts, threads);
  const Place outer = place;
  place = {0, 1, outer.inside};
  fn(data);
  place = outer;
}

int current_max_threads() {
  if (max_threads == 0) max_threads = usable_processors();
  return max_threads;
}

}  // namespace

ThreadScope::ThreadScope(int threads) : previous_(max_threads) { max_threads = threads; }
ThreadScope::~ThreadScope() { max_threads = previous_; }

void clear_invalid() { _mm_setcsr(_mm_getcsr() & ~_MM_EXCEPT_INVALID); }
bool invalid_raised() { return (_mm_getcsr() & _MM_EXCEPT_INVALID) != 0; }

void parallel_ranges(int threads, int64_t count, ParallelBody body, void* data) {
  struct Ranges {
    int64_t parts, count;
    ParallelBody body;
    void* data;
  };
  // More parts than threads, so that a thread that comes late leaves its share to the others.
  Ranges ranges{std::min<int64_t>(int64_t{parts_per_thread} * threads, count), count, body, data};
  if (threads <= 1 || ranges.parts <= 1 || place.inside) {
    if (count > 0) body(data, 0, count);
    return;
  }
  const RegionFn part = [](void* p) {
    const Ranges& r = *static_cast<Ranges*>(p);
    r.body(r.data, r.count * place.number / r.parts, r.count * (place.number + 1) / r.parts);
  };
  // When the workers serve another caller, this one is quicker by itself than in a queue.
  if (!pool().try_run(part, &ranges, static_cast<int>(ranges.parts), threads)) body(data, 0, count);
}

}  // namespace tessera::backend::cpu

// libgomp's interface, as far as oneDNN uses it.
extern "C" {

using namespace tessera::backend::cpu;

__attribute__((visibility("default"))) void GOMP_parallel(void (*fn)(void*), void* data,
                                                          unsigned threads, unsigned) {
  const int size = threads == 0 ? current_max_threads() : static_cast<int>(threads);
  run_region(fn, data, size, size);
}
__attribute__((visibility("default"))) void GOMP_barrier() {
  if (place.size > 1) pool().barrier(place.size);
}
__attribute__((visibility("default"))) int omp_get_max_threads() { return current_max_threads(); }
__attribute__((visibility("default"))) int omp_get_num_threads() { return place.size; }
__attribute__((visibility("default"))) int omp_get_thread_num() { return place.number; }
__attribute__((visibility("default"))) int omp_in_parallel() { return place.inside ? 1 : 0; }
}
