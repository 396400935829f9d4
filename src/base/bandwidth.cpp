#include "base/bandwidth.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "base/cpu_level.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr std::size_t kPage = 4096;
// Bytes that the prefetch runs ahead, which reads up to a quarter faster than
// the CPU's own prefetching does.
constexpr std::size_t kAhead = 2560;

// The most that one instruction loads: with shorter ones fewer reads are under
// way. n is a multiple of 256; the sum keeps the loads alive.
template <class Vector>
inline __attribute__((always_inline)) std::uint64_t read_vectors(
    const std::byte* p, std::size_t n) {
  constexpr std::size_t kSums = 4, kStep = 256;
  Vector sums[kSums] = {};
  for (std::size_t i = 0; i < n; i += kStep) {
    for (std::size_t j = 0; j < kStep; j += sizeof(Vector)) {
      if (j % 64 == 0) __builtin_prefetch(p + i + kAhead + j);
      sums[j / sizeof(Vector) % kSums] ^=
          *reinterpret_cast<const Vector*>(p + i + j);
    }
  }
  const Vector sum = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < sizeof(Vector) / sizeof result; ++i)
    result ^= sum[i];
  return result;
}

using Words16 = std::uint64_t __attribute__((vector_size(16)));
using Words32 = std::uint64_t __attribute__((vector_size(32)));
using Words64 = std::uint64_t __attribute__((vector_size(64)));

#if defined(__x86_64__)
__attribute__((target("avx512f"))) std::uint64_t read_avx512(const std::byte* p,
                                                             std::size_t n) {
  return read_vectors<Words64>(p, n);
}
__attribute__((target("avx2"))) std::uint64_t read_avx2(const std::byte* p,
                                                        std::size_t n) {
  return read_vectors<Words32>(p, n);
}
#endif

std::uint64_t read_stream(const std::byte* p, std::size_t n) {
#if defined(__x86_64__)
  if (cpu_level() >= CpuLevel::kAvx512) return read_avx512(p, n);
  if (cpu_level() >= CpuLevel::kAvx2) return read_avx2(p, n);
#endif
  return read_vectors<Words16>(p, n);
}

}  // namespace

Rate read_bandwidth(const BandwidthOptions& options) {
  const std::size_t part =
      (options.n_mib << 20) / options.n_threads / kPage * kPage;
  const std::size_t total = part * options.n_threads;
  void* memory = mmap(nullptr, total + kPage, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw Error("bandwidth", "not enough memory");
  const auto release = [&](void* p) { munmap(p, total + kPage); };
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
