#pragma once

#include <mlx/array.h>

#include <memory>

namespace skua {

namespace mx = mlx::core;

/** Memory in huge pages for the weights of one model. They are read faster
 *  there than in a mapped file, but a load takes the time of a copy. Lives
 *  until the last array ends. */
class WeightArena {
 public:
  /** True if SKUA_HUGE_PAGES is 1, the system has huge pages for those who
   *  ask, and this process computes on CPU. Throws InvalidInput if it is
   *  neither 0 nor 1. */
  static bool is_wanted();

  /** A copy of an evaluated, row-contiguous array. */
  mx::array copy(const mx::array& a);
  /** Of all copies. */
  std::size_t n_bytes() const { return n_bytes_; }

 private:
  std::shared_ptr<std::byte> chunk_;
  std::size_t used_ = 0;
  std::size_t size_ = 0;
  std::size_t n_bytes_ = 0;
};

}  // namespace skua
