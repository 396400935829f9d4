#include "base/thread_pool.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace skua {
namespace {

// Long enough to bridge the gap between two kernels of one step, short
// enough to leave a busy neighbour its core.
constexpr auto kSpin = std::chrono::microseconds(30);

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until `value` is not `old`: a short while awake, then asleep.
void wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  value.wait(old, std::memory_order_acquire);
}

class Pool {
 public:
  Pool() {
    for (int i = 1; i < thread_count(); ++i)
      workers_.emplace_back([this] { run_worker(); });
  }

  ~Pool() {
    stopping_.store(true, std::memory_order_relaxed);
    ticket_.fetch_add(1, std::memory_order_release);
    ticket_.notify_all();
  }

  // False where the pool is at work for another call.
  bool try_run(std::uint32_t n_chunks, const ChunkBody& body) {
    if (busy_.test_and_set(std::memory_order_acquire)) return false;
    body_ = &body;
    n_chunks_ = n_chunks;
    n_left_.store(n_chunks, std::memory_order_relaxed);
    const auto ticket = ticket_.load(std::memory_order_relaxed) + 1;
    unclaimed_.store(std::uint64_t{ticket} << 32 | n_chunks,
                     std::memory_order_release);
    ticket_.store(ticket, std::memory_order_release);
    ticket_.notify_all();
    work();
    while (const auto left = n_left_.load(std::memory_order_acquire))
      wait_while(n_left_, left);
    const auto error = std::exchange(error_, nullptr);
    busy_.clear(std::memory_order_release);
    if (error) std::rethrow_exception(error);
    return true;
  }

 private:
  // A claim is a compare-exchange of ticket and count together, so that what
  // a late worker has read of one region takes no chunk of the next. A claim
  // keeps its region alive: the rest is read after it.
  void work() {
    std::uint32_t n_done = 0;
    auto seen = unclaimed_.load(std::memory_order_acquire);
    while (const auto n_unclaimed = static_cast<std::uint32_t>(seen)) {
      if (!unclaimed_.compare_exchange_weak(seen, seen - 1,
                                            std::memory_order_acq_rel,
                                            std::memory_order_acquire))
        continue;
      run_chunk(n_chunks_ - n_unclaimed);
      ++n_done;
      seen = unclaimed_.load(std::memory_order_acquire);
    }
    if (n_done != 0 &&
        n_left_.fetch_sub(n_done, std::memory_order_acq_rel) == n_done)
      n_left_.notify_all();
  }

  void run_chunk(std::size_t i) {
    try {
      (*body_)(i);
    } catch (...) {
      const std::lock_guard lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }

  void run_worker() {
    std::uint32_t seen = 0;
    for (;;) {
      wait_while(ticket_, seen);
      seen = ticket_.load(std::memory_order_acquire);
      if (stopping_.load(std::memory_order_relaxed)) return;
      work();
    }
  }

  std::atomic_flag busy_;
  const ChunkBody* body_ = nullptr;
  std::uint32_t n_chunks_ = 0;
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::atomic<bool> stopping_{false};
  // What threads poll, each on a cache line of its own.
  alignas(64) std::atomic<std::uint32_t> ticket_{0};
  alignas(64) std::atomic<std::uint64_t> unclaimed_{0};
  alignas(64) std::atomic<std::uint32_t> n_left_{0};
  std::vector<std::jthread> workers_;
};

}  // namespace

const ThreadChoice& thread_choice() {
  static const ThreadChoice choice = choose_thread_count();
  return choice;
}

int thread_count() {
  return thread_choice().n;
}

void run_chunks(std::size_t n_chunks, const ChunkBody& body) {
  constexpr std::size_t kMaxChunks = std::numeric_limits<std::uint32_t>::max();
  if (n_chunks > 1 && n_chunks <= kMaxChunks && thread_count() > 1) {
    static Pool pool;
    if (pool.try_run(static_cast<std::uint32_t>(n_chunks), body)) return;
  }
  for (std::size_t i = 0; i < n_chunks; ++i) body(i);
}

}  // namespace skua
