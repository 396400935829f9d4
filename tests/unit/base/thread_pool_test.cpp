#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
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

}  // namespace
}  // namespace skua
