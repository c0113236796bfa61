// SPDX-License-Identifier: Apache-2.0
// Loops over threads.
#include "backend/cpu/parallel.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/processors.h"

namespace tessera::backend::cpu {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// A worker waits this long for the next region before it sleeps: longer than a kernel that is too
// small to be shared, and as long as a few wakings take.
constexpr microseconds worker_patience{150};
// A caller waits for a worker that is in its last part: sleeping costs a waking.
constexpr microseconds caller_patience{500};
// A thread that waits offers its core to others this often.
constexpr microseconds politeness{10};
// Working together may cost this much more than it won before callers work alone: about what one
// worker costs that loses its core in the middle of a part.
constexpr milliseconds most_credit{4};
// What they may spend after a pause: the waking of workers is charged to it.
constexpr milliseconds first_credit{1};
// They work alone twice as long each time, and half as long after full credit for several times as
// long.
constexpr milliseconds shortest_pause{1}, longest_pause{128};
constexpr int good_pauses = 4;

constexpr int parts_per_thread = 4;
constexpr int most_threads = 256;

// Waits until `is_over()`, for `patience` at most; whether it is.
template <typename F>
bool spin(microseconds patience, F is_over) {
  constexpr int pauses = 16;
  const auto look = [&] {
    for (int k = 0; k < pauses; ++k) {
      if (is_over()) return true;
      _mm_pause();
    }
    return false;
  };
  if (look()) return true;
  const Clock::time_point start = Clock::now();
  Clock::time_point yielded = start, now = start;
  while (now - start < patience) {
    if (look()) return true;
    if (now - yielded > politeness) {
      std::this_thread::yield();
      yielded = now;
    }
    now = Clock::now();
  }
  return is_over();
}

// What this thread is in the region it runs.
struct Place {
  int number = 0, size = 1;
  bool inside = false;  // of a region of several threads, at any depth
};
thread_local Place place;
thread_local int max_threads = 0;  // 0: as many as there are processors

using RegionFn = void (*)(void*);

// A region is a number of parts, of which every thread has a share. A thread claims the parts of
// its own share in their order, so that it meets the same data in kernel after kernel, and then
// what others have left: on a busy machine, where a worker may come late, the caller does its
// parts.
class Pool {
 public:
  // Runs `parts` parts on at most `threads` threads. REQUIRES: parts that meet at barriers are no
  // more than threads.
  void run(RegionFn fn, void* data, int parts, int threads) {
    const std::lock_guard lock(regions_);
    backward_ = false;
    run_locked(fn, data, parts, std::min(threads, most_threads), is_alone());
  }

  // The same, unless another caller's region runs or a worker lost its core not long ago.
  bool try_run(RegionFn fn, void* data, int parts, int threads, bool backward) {
    const std::unique_lock lock(regions_, std::try_to_lock);
    if (!lock || is_alone()) return false;
    backward_ = backward;
    run_locked(fn, data, parts, std::min(threads, most_threads), false);
    return true;
  }

  // All parts of the region that is running meet.
  void barrier(int parts) {
    const uint32_t round = barrier_round_.load(std::memory_order_acquire);
    if (barrier_count_.fetch_add(1, std::memory_order_acq_rel) + 1 == parts) {
      barrier_count_.store(0, std::memory_order_relaxed);
      barrier_round_.fetch_add(1, std::memory_order_release);
      barrier_round_.notify_all();
      return;
    }
    wake(threads_.load(std::memory_order_relaxed));  // a caller that works alone did not
    const auto passed = [&] { return barrier_round_.load(std::memory_order_acquire) != round; };
    if (spin(caller_patience, passed)) return;
    while (!passed()) barrier_round_.wait(round, std::memory_order_acquire);
  }

 private:
  // A share: number of the region, the end of its parts, and the next one to be claimed.
  static constexpr int region_shift = 32, end_shift = 16;
  static constexpr uint64_t mask = 0xffff;

  struct alignas(64) Share {
    std::atomic<uint64_t> ticket{0};
    int first = 0;
  };
  struct alignas(64) Worker {
    std::atomic<uint32_t> turn{0};
    std::atomic<bool> asleep{false};
  };

  bool is_alone() const { return Clock::now() < alone_until_; }

  void run_locked(RegionFn fn, void* data, int parts, int threads, bool alone) {
    const Clock::time_point start = Clock::now();
    invalid_.store(false, std::memory_order_relaxed);
    while (static_cast<int>(workers_.size()) < threads - 1) add_worker();
    fn_ = fn;
    data_ = data;
    parts_ = parts;
    remaining_.store(parts, std::memory_order_relaxed);
    threads_.store(threads, std::memory_order_relaxed);
    ++region_;
    for (int k = 0; k < threads; ++k) {
      const auto first = static_cast<uint64_t>(parts) * k / threads;
      const auto end = static_cast<uint64_t>(parts) * (k + 1) / threads;
      shares_[k].first = static_cast<int>(first);
      shares_[k].ticket.store(uint64_t{region_} << region_shift | end << end_shift | first,
                              std::memory_order_release);
    }
    for (int k = 0; k < threads - 1; ++k)
      workers_[k]->turn.store(region_, std::memory_order_release);
    if (!alone) wake(threads);
    const int own = work(0, false);
    const Clock::time_point worked = Clock::now();
    const auto is_over = [this] { return remaining_.load(std::memory_order_acquire) == 0; };
    spin(caller_patience, is_over);
    for (int left = remaining_.load(std::memory_order_acquire); left != 0;
         left = remaining_.load(std::memory_order_acquire))
      remaining_.wait(left, std::memory_order_acquire);
    if (invalid_.load(std::memory_order_relaxed)) _mm_setcsr(_mm_getcsr() | _MM_EXCEPT_INVALID);
    judge(start, worked, own);
  }

  // Wakes the workers that sleep, among those of a region of `threads` threads.
  void wake(int threads) {
    // A worker announces its sleep before it looks a last time for its turn.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    for (int k = 0; k < threads - 1; ++k)
      if (workers_[k]->asleep.load(std::memory_order_relaxed)) workers_[k]->turn.notify_one();
  }

  // What a region won over working alone, where its caller did `own` of its parts, goes to the
  // account of working together. A worker that lost its core now and then leaves it full; one whose
  // core is busy empties it.
  void judge(Clock::time_point start, Clock::time_point worked, int own) {
    const Clock::time_point now = Clock::now();
    const int others = threads_.load(std::memory_order_relaxed) - 1;
    if (others == 0) return;
    const Clock::duration alone = own > 0 ? (worked - start) * parts_ / own : now - start;
    credit_ += std::min(alone - (now - start), (now - start) * others);
    credit_ = std::min<Clock::duration>(credit_, most_credit);
    if (credit_ < Clock::duration::zero()) {
      credit_ = first_credit;
      pause_ = std::clamp<Clock::duration>(2 * pause_, shortest_pause, longest_pause);
      alone_until_ = now + pause_;
    } else if (credit_ == most_credit && pause_ > Clock::duration::zero() &&
               now - alone_until_ > good_pauses * pause_) {
      pause_ = pause_ > shortest_pause ? pause_ / 2 : Clock::duration::zero();
      alone_until_ = now;
    }
  }

  // Runs parts of the current region until none is left to claim. While a claimed part runs, the
  // region cannot end, so what describes it stays as it is. Returns the number of parts run.
  int work(int self, bool is_worker) {
    int done = 0;
    const int threads = threads_.load(std::memory_order_acquire);
    for (int k = 0; k < threads; ++k) {
      Share& share = shares_[(self + k) % threads];
      uint64_t ticket = share.ticket.load(std::memory_order_acquire);
      while ((ticket & mask) < (ticket >> end_shift & mask)) {
        if (!share.ticket.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel))
          continue;
        const auto next = static_cast<int>(ticket & mask);
        const auto end = static_cast<int>(ticket >> end_shift & mask);
        place = {backward_ ? share.first + end - 1 - next : next, parts_, true};
        if (is_worker) clear_invalid();
        fn_(data_);
        place = {};
        if (invalid_raised()) invalid_.store(true, std::memory_order_relaxed);
        if (remaining_.fetch_sub(1, std::memory_order_acq_rel) == 1) remaining_.notify_one();
        ++done;
        ticket = share.ticket.load(std::memory_order_acquire);
      }
    }
    return done;
  }

  void add_worker() {
    workers_.push_back(std::make_unique<Worker>());
    const auto self = static_cast<int>(workers_.size());
    std::thread([this, self, worker = workers_.back().get()] {
      uint32_t turn = 0;
      while (true) {
        wait(*worker, turn);
        turn = worker->turn.load(std::memory_order_acquire);
        work(self, true);
      }
    }).detach();
  }

  // Until it is the worker's turn again.
  void wait(Worker& worker, uint32_t turn) {
    const auto is_over = [&] { return worker.turn.load(std::memory_order_acquire) != turn; };
    if (spin(worker_patience, is_over)) return;
    worker.asleep.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    while (!is_over()) worker.turn.wait(turn, std::memory_order_acquire);
    worker.asleep.store(false, std::memory_order_relaxed);
  }

  std::mutex regions_;
  std::vector<std::unique_ptr<Worker>> workers_;
  // Of the region that is running.
  RegionFn fn_ = nullptr;
  void* data_ = nullptr;
  int parts_ = 0;
  bool backward_ = false;
  uint32_t region_ = 0;
  std::atomic<int> threads_{1};
  std::array<Share, most_threads> shares_;
  alignas(64) std::atomic<int> remaining_{0};
  std::atomic<bool> invalid_{false};  // an operation of the region was invalid
  alignas(64) std::atomic<int> barrier_count_{0};
  std::atomic<uint32_t> barrier_round_{0};
  // What working together won lately. Callers work alone until then; how long the last pause was, 0
  // when all is well.
  Clock::duration credit_ = most_credit;
  Clock::time_point alone_until_;
  Clock::duration pause_{0};
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

int useful_threads(double nanoseconds) {
  // A region takes about two microseconds of every thread.
  constexpr double least = 6000;
  return static_cast<int>(std::clamp(nanoseconds / least, 1.0, double{most_threads}));
}

double product_nanoseconds(double flops, double bytes) {
  constexpr double flops_per_ns = 150, bytes_per_ns = 60;
  return std::max(flops / flops_per_ns, bytes / bytes_per_ns);
}

void parallel_ranges(int threads, int64_t count, ParallelBody body, void* data, bool backward) {
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
  if (!pool().try_run(part, &ranges, static_cast<int>(ranges.parts), threads, backward))
    body(data, 0, count);
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
