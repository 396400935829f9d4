#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

namespace skua {

/** Uninitialised memory, 64-byte aligned: for tensors that are written whole
 *  right after. Zero bytes need no allocation. Throws std::bad_alloc. */
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  explicit AlignedBuffer(std::size_t n_bytes) : size_(n_bytes) {
    if (n_bytes == 0) return;
    if (n_bytes > static_cast<std::size_t>(-1) - kAlignment)
      throw std::bad_alloc();
    const std::size_t rounded = (n_bytes + kAlignment - 1) & ~(kAlignment - 1);
    data_.reset(
        static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded)));
    if (!data_) throw std::bad_alloc();
  }

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data_.get());
  }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_.get());
  }

  /** Gives the memory to the caller, who ends it with std::free. */
  std::byte* release() {
    size_ = 0;
    return data_.release();
  }

 private:
  static constexpr std::size_t kAlignment = 64;
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };
  std::unique_ptr<std::byte[], Free> data_;
  std::size_t size_ = 0;
};

}  // namespace skua
