#include "base/bandwidth.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "skua/error.h"

namespace skua {
namespace {

using Vector = std::uint64_t __attribute__((vector_size(64)));

constexpr std::size_t kPage = 4096;
constexpr std::size_t kAhead = 4096;  // bytes that the prefetch runs ahead

// n is a multiple of 256; the sum keeps the loads alive.
std::uint64_t read_stream(const std::byte* p, std::size_t n) {
  Vector sums[4] = {};
  for (std::size_t i = 0; i < n; i += 256) {
    for (std::size_t j = 0; j < 4; ++j) {
      __builtin_prefetch(p + i + kAhead + 64 * j);
      sums[j] ^= *reinterpret_cast<const Vector*>(p + i + 64 * j);
    }
  }
  const Vector sum = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
  std::uint64_t result = 0;
  for (int i = 0; i < 8; ++i) result ^= sum[i];
  return result;
}

}  // namespace

Rate read_bandwidth(const BandwidthOptions& options) {
  const std::size_t part =
      (options.n_mib << 20) / options.n_threads / kPage * kPage;
  const std::size_t total = part * options.n_threads;
  void* memory = mmap(nullptr, total + 2 * kAhead, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw Error("bandwidth", "not enough memory");
  const auto release = [&](void* p) { munmap(p, total + 2 * kAhead); };
  const std::unique_ptr<void, decltype(release)> owner(memory, release);
#ifdef __linux__
  madvise(memory, total, options.huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
  auto* bytes = static_cast<std::byte*>(memory);
  {
    // Each thread touches its own part first: memory is then near its core.
    std::vector<std::jthread> threads;
    for (int id = 0; id < options.n_threads; ++id)
      threads.emplace_back(
          [=] { std::memset(bytes + id * part, id + 1, part); });
  }
  std::atomic<std::uint64_t> sink = 0;
  std::vector<double> rates = time_together(
      options.n_threads, options.n_trials,
      [&](int id) { sink.fetch_xor(read_stream(bytes + id * part, part)); });
  for (double& rate : rates) rate = static_cast<double>(total) / rate / 1e9;
  return summarize(std::move(rates));
}

}  // namespace skua
