#pragma once

#include <mlx/array.h>

#include <memory>
#include <optional>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/cpu/kv_pages.h"
#include "skua/kv_type.h"

namespace skua {

namespace mx = mlx::core;

/** Keys [n_kv_heads, n, key_dim] and values [n_kv_heads, n, value_dim]. */
struct KeyValue {
  mx::array keys;
  mx::array values;
};

/** Keys and values of one sequence in one layer. Copies share the state;
 *  copy() parts it. */
class KvCache {
 public:
  /** Where the state lies: in pages that the CPU kernel writes in place, or
   *  in arrays for plain MLX operations. */
  enum class Layout { kPages, kArrays };

  KvCache(KvType type, int n_kv_heads, int key_dim, int value_dim,
          Layout layout = default_layout());

  KvType type() const { return state_->shape.type; }
  Layout layout() const { return state_->layout; }
  /** Positions that there is room for. */
  int capacity() const;
  std::size_t n_bytes() const;

  /** Makes room for n positions. Pages are added, none is moved; arrays grow
   *  by a quarter at least. Throws InvalidInput beyond 2^30 positions. */
  void reserve(int n) const;
  /** A cache of its own with the first n positions; waits for them. */
  KvCache copy(int n) const;
  /** The first n positions as attention sees them, in float32; waits for
   *  them. */
  KeyValue rows(int n) const;

  /** Adds arrays that are ready once all that was appended is. */
  void append_arrays(std::vector<mx::array>& arrays) const;

  /** For the kernels alone. */
  struct State {
    cpu::KvShape shape;
    Layout layout = Layout::kPages;
    std::vector<AlignedBuffer> pages;
    std::optional<mx::array> written;  // by the newest append to the pages
    std::optional<KeyValue> arrays;
  };
  State& state() const { return *state_; }
  /** Keeps the pages alive. */
  std::shared_ptr<const State> shared_state() const { return state_; }

 private:
  static Layout default_layout();

  std::shared_ptr<State> state_;
};

}  // namespace skua
