#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace skua {
namespace {

// CPUs that the cgroup's time quota amounts to; 0 where there is none.
int cgroup_quota() {
  std::ifstream in("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(in >> quota >> period) || quota == "max" || period <= 0) return 0;
  return static_cast<int>(std::strtod(quota.c_str(), nullptr) / period + 0.5);
}

int allowed_cpus() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

int detect_thread_count() {
  int n = allowed_cpus();
  if (const int quota = cgroup_quota(); quota > 0) n = std::min(n, quota);
  if (const char* set = std::getenv("SKUA_THREADS")) {
    int wanted = 0;
    const auto end = set + std::char_traits<char>::length(set);
    if (std::from_chars(set, end, wanted).ptr == end && wanted > 0)
      n = std::min(wanted, 1024);
  }
  return std::max(n, 1);
}

// One parallel region. Workers that wake up late find no chunk left.
struct Region {
  const std::function<void(std::size_t)>* body = nullptr;
  std::size_t n_chunks = 0;
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> n_done{0};
  std::mutex mutex;
  std::condition_variable finished;
  std::exception_ptr error;

  void work() {
    for (;;) {
      const std::size_t i = next.fetch_add(1, std::memory_order_relaxed);
      if (i >= n_chunks) return;
      try {
        (*body)(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
      }
      if (n_done.fetch_add(1, std::memory_order_acq_rel) + 1 == n_chunks) {
        const std::lock_guard lock(mutex);
        finished.notify_all();
      }
    }
  }

  bool done() const {
    return n_done.load(std::memory_order_acquire) == n_chunks;
  }
};

// Long enough to bridge the gap between two kernels of one step, short
// enough to leave a busy neighbour its core.
constexpr auto kSpin = std::chrono::microseconds(30);

template <class Condition>
bool spin_until(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i)
      if (condition()) return true;
  } while (std::chrono::steady_clock::now() < end);
  return condition();
}

class Pool {
 public:
  Pool() {
    for (int i = 1; i < thread_count(); ++i)
      workers_.emplace_back([this](std::stop_token stop) { run_worker(stop); });
  }

  ~Pool() {
    for (auto& worker : workers_) worker.request_stop();
    publish(nullptr);
  }

  void run(std::size_t n_chunks, const std::function<void(std::size_t)>& body) {
    auto region = std::make_shared<Region>();
    region->body = &body;
    region->n_chunks = n_chunks;
    if (!workers_.empty() && n_chunks > 1) publish(region);
    region->work();
    if (!spin_until([&] { return region->done(); })) {
      std::unique_lock lock(region->mutex);
      region->finished.wait(lock, [&] { return region->done(); });
    }
    const std::lock_guard lock(region->mutex);
    if (region->error) std::rethrow_exception(region->error);
  }

 private:
  void publish(std::shared_ptr<Region> region) {
    {
      const std::lock_guard lock(mutex_);
      region_ = std::move(region);
      ticket_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
  }

  void run_worker(const std::stop_token& stop) {
    std::size_t seen = 0;
    while (!stop.stop_requested()) {
      const auto news = [&] {
        return ticket_.load(std::memory_order_acquire) != seen;
      };
      spin_until(news);
      std::shared_ptr<Region> region;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, news);
        seen = ticket_.load(std::memory_order_relaxed);
        region = region_;
      }
      if (region) region->work();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<std::size_t> ticket_{0};
  std::shared_ptr<Region> region_;
  std::vector<std::jthread> workers_;
};

}  // namespace

int thread_count() {
  static const int n = detect_thread_count();
  return n;
}

void parallel_for(std::size_t n_chunks,
                  const std::function<void(std::size_t)>& body) {
  if (n_chunks == 0) return;
  static Pool pool;
  pool.run(n_chunks, body);
}

}  // namespace skua
