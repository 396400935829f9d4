#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
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

// The work goes on where every pool thread hangs in a chunk of its own, so
// nobody waits for a thread that has claimed nothing.
TEST(ThreadPool, OneThreadFinishesWhatTheOthersDoNotClaim) {
  constexpr std::size_t kChunks = 100;
  std::atomic<std::size_t> n_others{0};
  const auto n_threads = static_cast<std::size_t>(thread_count());
  std::atomic<std::size_t> n_held{0};
  parallel_for(kChunks, [&](std::size_t) {
    thread_local bool held = false;
    if (!held && n_held < n_threads - 1) {
      held = true;
      ++n_held;
      while (n_others + n_held < kChunks) std::this_thread::yield();
    } else {
      ++n_others;
    }
  });
  EXPECT_EQ(n_others + n_held, kChunks);
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
