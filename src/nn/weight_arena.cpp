#include "nn/weight_arena.h"

#include <mlx/mlx.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <new>
#include <string>

#include "base/quote.h"
#include "base/thread_pool.h"
#include "kernels/primitive.h"
#include "nn/shared_array.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
// What is not used of a chunk is never touched and costs no memory.
constexpr std::size_t kChunk = std::size_t{64} << 20;
constexpr std::size_t kAlignment = 64;

std::size_t round_up(std::size_t n, std::size_t unit) {
  return (n + unit - 1) / unit * unit;
}

bool system_has_huge_pages() {
  std::ifstream in("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string modes;
  return std::getline(in, modes) && modes.find("[never]") == std::string::npos;
}

std::shared_ptr<std::byte> allocate_chunk(std::size_t size) {
  auto* data = static_cast<std::byte*>(std::aligned_alloc(kHugePage, size));
  if (data == nullptr) throw std::bad_alloc();
#ifdef __linux__
  ::madvise(data, size, MADV_HUGEPAGE);
#endif
  return {data, [](std::byte* p) { std::free(p); }};
}

}  // namespace

bool WeightArena::is_wanted() {
  const char* set = std::getenv("SKUA_HUGE_PAGES");
  const std::string wanted = set == nullptr || *set == '\0' ? "1" : set;
  if (wanted != "0" && wanted != "1") {
    throw InvalidInput("SKUA_HUGE_PAGES",
                       "is " + quote(wanted) + ", expected 0 or 1");
  }
  static const bool available = system_has_huge_pages();
  return wanted == "1" && available && runs_on_cpu();
}

void WeightArena::ask_for_huge_pages(
    [[maybe_unused]] std::span<std::byte> memory) {
#ifdef __linux__
  // The system takes whole pages alone.
  void* first = memory.data();
  std::size_t n = memory.size();
  if (n < 2 * kHugePage || !is_wanted()) return;
  std::align(kHugePage, kHugePage, first, n);
  ::madvise(first, n / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
}

mx::array WeightArena::copy(const mx::array& a) {
  const std::size_t n_bytes = a.nbytes();
  // MLX looks at the bytes before an array.
  if (used_ + kAlignment + n_bytes > size_) {
    size_ = round_up(std::max(kChunk, n_bytes + kAlignment), kHugePage);
    chunk_ = allocate_chunk(size_);
    used_ = 0;
  }
  std::byte* to = chunk_.get() + used_ + kAlignment;
  used_ = round_up(used_ + kAlignment + n_bytes, kAlignment);
  n_bytes_ += n_bytes;
  const char* from = a.data<char>();
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  parallel_for((n_bytes + kPiece - 1) / kPiece, [&](std::size_t i) {
    const std::size_t at = i * kPiece;
    std::memcpy(to + at, from + at, std::min(kPiece, n_bytes - at));
  });
  return share_array(to, a.shape(), a.dtype(), chunk_);
}

}  // namespace skua
