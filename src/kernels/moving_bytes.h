#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>

namespace skua {

/** Bytes that are copied to other memory while they are read in both places.
 *  One thread copies, from the first byte to the last. */
class MovingBytes {
 public:
  /** from  stays readable as long as this lives
   *  to    at least as large */
  MovingBytes(std::span<const std::byte> from, std::shared_ptr<std::byte> to)
      : from_(from), to_(std::move(to)) {}

  std::span<const std::byte> from() const { return from_; }
  std::byte* to() const { return to_.get(); }

  /** From here on the first `n_bytes` are read in the new place. */
  void moved(std::size_t n_bytes) {
    n_moved_.store(n_bytes, std::memory_order_release);
  }
  std::size_t n_moved() const {
    return n_moved_.load(std::memory_order_acquire);
  }

  /** Where `n_bytes` at `at` are read by now; those of others stay. */
  const std::byte* now(const std::byte* at, std::size_t n_bytes) const {
    if (at < from_.data() || at >= from_.data() + from_.size()) return at;
    const auto offset = static_cast<std::size_t>(at - from_.data());
    return offset + n_bytes <= n_moved() ? to_.get() + offset : at;
  }

 private:
  std::span<const std::byte> from_;
  std::shared_ptr<std::byte> to_;
  std::atomic<std::size_t> n_moved_ = 0;
};

}  // namespace skua
