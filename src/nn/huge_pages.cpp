#include "nn/huge_pages.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>

#include "base/memory.h"
#include "base/quote.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

bool system_has_huge_pages() {
  std::ifstream in("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string modes;
  return std::getline(in, modes) && modes.find("[never]") == std::string::npos;
}

// What is not written of it costs no memory. Null where there is none.
std::shared_ptr<std::byte> allocate(std::size_t size) {
  auto* data = static_cast<std::byte*>(std::aligned_alloc(kHugePage, size));
  if (data == nullptr) return nullptr;
#ifdef __linux__
  ::madvise(data, size, MADV_HUGEPAGE);
#endif
  return {data, [](std::byte* p) { std::free(p); }};
}

// A place for a file's bytes where those at `offset` begin a cache line, as
// loads of whole lines are faster.
std::shared_ptr<MovingBytes> place_for(std::span<const std::byte> bytes,
                                       std::size_t offset) {
  constexpr std::size_t kLine = 64;
  const std::size_t n = bytes.size() + kLine;
  const auto memory = allocate((n + kHugePage - 1) / kHugePage * kHugePage);
  if (memory == nullptr) return nullptr;
  const std::size_t shift = (kLine - offset % kLine) % kLine;
  return std::make_shared<MovingBytes>(
      bytes, std::shared_ptr<std::byte>(memory, memory.get() + shift));
}

}  // namespace

bool wants_huge_pages() {
  const char* set = std::getenv("SKUA_HUGE_PAGES");
  const std::string wanted = set == nullptr || *set == '\0' ? "1" : set;
  if (wanted != "0" && wanted != "1") {
    throw InvalidInput("SKUA_HUGE_PAGES",
                       "is " + quote(wanted) + ", expected 0 or 1");
  }
  static const bool available = system_has_huge_pages();
  return wanted == "1" && available && runs_on_cpu();
}

void ask_for_huge_pages([[maybe_unused]] std::span<std::byte> memory) {
#ifdef __linux__
  // The system takes whole pages alone.
  void* first = memory.data();
  std::size_t n = memory.size();
  if (n < 2 * kHugePage || !wants_huge_pages()) return;
  std::align(kHugePage, kHugePage, first, n);
  ::madvise(first, n / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
}

WeightMover::~WeightMover() {
  stops_ = true;
  wait();
}

std::shared_ptr<const MovingBytes> WeightMover::add(
    const MappedFile& file, std::span<const std::byte> part) {
  const auto bytes = file.bytes();
  const auto offset = static_cast<std::size_t>(part.data() - bytes.data());
  auto found = files_.find(bytes.data());
  if (found == files_.end()) {
    auto place = place_for(bytes, offset);
    if (place == nullptr) return nullptr;
    found =
        files_.emplace(bytes.data(), File{file, std::move(place), {}}).first;
  }
  found->second.parts[offset] = part.size();
  return found->second.bytes;
}

void WeightMover::start() {
  const std::size_t most = available_memory() / 2;
  thread_ = std::thread([this, most] { move_all(most); });
}

void WeightMover::wait() {
  if (thread_.joinable()) thread_.join();
}

void WeightMover::move_all(std::size_t most_bytes) {
  for (auto& [address, file] : files_)
    if (!move(file, most_bytes)) return;
}

bool WeightMover::move(File& file, std::size_t most_bytes) {
  constexpr std::size_t kPiece = std::size_t{4} << 20;
  MovingBytes& bytes = *file.bytes;
  for (const auto& [offset, size] : file.parts) {
    if (n_bytes_moved_ + size > most_bytes) return false;
    for (std::size_t at = 0; at < size; at += kPiece) {
      if (stops_) return false;
      const auto piece =
          bytes.from().subspan(offset + at, std::min(kPiece, size - at));
      std::memcpy(bytes.to() + offset + at, piece.data(), piece.size());
      // Who still reads it brings it back.
      file.file.drop_pages(piece);
    }
    bytes.moved(offset + size);
    n_bytes_moved_ += size;
  }
  return true;
}

}  // namespace skua
