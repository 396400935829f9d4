#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace skua {
namespace {

TEST(ThreadPool, RunsEveryChunkOnce) {
  for (const std::size_t n : {0u, 1u, 2u, 3u, 17u, 1000u}) {
    std::vector<std::atomic<int>> counts(n);
    parallel_for(n, [&](std::size_t i) { ++counts[i]; });
    for (const auto& count : counts) EXPECT_EQ(count, 1);
  }
}

TEST(ThreadPool, ManyRegionsInARow) {
  std::atomic<long> sum{0};
  for (int round = 0; round < 2000; ++round)
    parallel_for(5, [&](std::size_t i) { sum += static_cast<long>(i); });
  EXPECT_EQ(sum, 20000);
}

TEST(ThreadPool, RethrowsAndStaysUsable) {
  const auto fail = [](std::size_t i) {
    if (i == 3) throw std::runtime_error("chunk 3");
  };
  EXPECT_THROW(parallel_for(8, fail), std::runtime_error);
  std::atomic<int> n{0};
  parallel_for(8, [&](std::size_t) { ++n; });
  EXPECT_EQ(n, 8);
}

// Threads of the pool that a signal holds, as a busy machine would.
std::atomic<std::size_t> n_held{0};
std::atomic<bool> release{false};

void hold(int) {
  ++n_held;
  while (!release) sched_yield();
  --n_held;
}

TEST(ThreadPool, WaitsForNoThreadThatHasClaimedNothing) {
  const auto n_workers = static_cast<std::size_t>(thread_count()) - 1;
  const pthread_t main_thread = pthread_self();
  std::mutex mutex;
  std::set<pthread_t> workers;
  std::atomic<std::size_t> n_seen{0};
  while (n_seen < n_workers) {
    parallel_for(n_workers + 1, [&](std::size_t) {
      if (pthread_self() == main_thread) return;
      const std::lock_guard lock(mutex);
      workers.insert(pthread_self());
      n_seen = workers.size();
    });
  }
  signal(SIGUSR1, hold);
  release = false;
  for (const pthread_t worker : workers) pthread_kill(worker, SIGUSR1);
  while (n_held < n_workers) sched_yield();
  std::atomic<int> n{0};
  parallel_for(100, [&](std::size_t) { ++n; });
  EXPECT_EQ(n, 100);
  EXPECT_EQ(n_held, n_workers);
  release = true;
  while (n_held != 0) sched_yield();
}

TEST(ThreadPool, RunsACallFromABodyOnTheCaller) {
  std::array<std::atomic<int>, 30> counts{};
  parallel_for(5, [&](std::size_t i) {
    const auto self = std::this_thread::get_id();
    parallel_for(6, [&](std::size_t j) {
      EXPECT_EQ(std::this_thread::get_id(), self);
      ++counts[6 * i + j];
    });
  });
  for (const auto& count : counts) EXPECT_EQ(count, 1);
}

TEST(ThreadPool, ServesCallersOnSeveralThreads) {
  std::array<long, 3> sums{};
  std::vector<std::jthread> callers;
  for (long& sum : sums) {
    callers.emplace_back([&sum] {
      for (int round = 0; round < 500; ++round) {
        std::atomic<long> part{0};
        parallel_for(7, [&](std::size_t i) { part += static_cast<long>(i); });
        sum += part;
      }
    });
  }
  callers.clear();
  for (const long sum : sums) EXPECT_EQ(sum, 500 * 21);
}

}  // namespace
}  // namespace skua
