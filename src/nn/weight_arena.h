#pragma once

#include <mlx/array.h>

#include <cstddef>
#include <memory>
#include <span>

#include "base/memory.h"

namespace skua {

namespace mx = mlx::core;

/** Memory in huge pages for the weights of one model. They are read faster
 *  there than in a mapped file, but a load takes the time of a copy. Lives
 *  until the last array ends. */
class WeightArena {
 public:
  /** True if the system has huge pages for those who ask, this process
   *  computes on CPU, and SKUA_HUGE_PAGES is not 0. Throws InvalidInput if it
   *  is set to anything but 0 or 1. */
  static bool is_wanted();
  /** For memory that is not touched yet, where is_wanted(). */
  static void ask_for_huge_pages(std::span<std::byte> memory);
  /** True if so many bytes more leave half of the memory that was available
   *  at first: larger models stay mapped. */
  bool has_room(std::size_t n_bytes) const {
    return n_bytes_ + n_bytes < available_memory_ / 2;
  }

  /** A copy of an evaluated, row-contiguous array. */
  mx::array copy(const mx::array& a);
  /** Of all copies. */
  std::size_t n_bytes() const { return n_bytes_; }

 private:
  std::shared_ptr<std::byte> chunk_;
  std::size_t used_ = 0;
  std::size_t size_ = 0;
  std::size_t n_bytes_ = 0;
  std::uint64_t available_memory_ = skua::available_memory();
};

}  // namespace skua
