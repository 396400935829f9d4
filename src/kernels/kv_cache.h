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
 *  copy() parts it. Positions between a kept head and a tail may be given up:
 *  the others keep their numbers. */
class KvCache {
 public:
  /** Where the state lies: in pages that the CPU kernel writes in place, or
   *  in arrays for plain MLX operations. */
  enum class Layout { kPages, kArrays };

  static Layout default_layout();
  static constexpr int kNever = 1 << 30;

  /** quantize_from   positions from it on are held as `quantized_type`;
   *                  rounded up to a multiple of 256
   *  quantized_type  kInt8 or kInt4 */
  KvCache(KvType type, int n_kv_heads, int key_dim, int value_dim,
          Layout layout = default_layout(), int quantize_from = kNever,
          KvType quantized_type = KvType::kInt8);

  /** Of the positions before quantize_from. */
  KvType type() const { return state_->shape.type; }
  /** A multiple of 256, or kNever. */
  int quantize_from() const { return state_->quantize_from; }
  KvType quantized_type() const { return state_->quantized_type; }
  Layout layout() const { return state_->layout; }
  /** One more than the last position that there is room for. */
  int capacity() const;
  std::size_t n_bytes() const;

  /** Makes room for positions up to n. Pages are added, none is moved; arrays
   *  grow by a quarter at least. Throws InvalidInput beyond 2^30 positions. */
  void reserve(int n) const;
  /** Room for n_rows from `position`, which are written next, in order.
   *  Throws InvalidInput where the positions before were given up. */
  void make_room(int position, int n_rows) const;
  /** Gives up the memory of what lies outside positions [0, keep) and
   *  [begin, end), in whole pages; steps that run still have theirs. What
   *  was given up stays so until positions from `keep` on are written again.
   *  `keep` is the same in all calls. */
  void hold_only(int keep, int begin, int end) const;
  /** Whether none of the positions [from, to) was given up. */
  bool holds(int from, int to) const;
  /** A cache of its own with the positions before n; waits for them. */
  KvCache copy(int n) const;
  /** Positions [from, to) as attention sees them, in float32; waits for them.
   *  Throws InvalidInput where they are not held. */
  KeyValue rows(int from, int to) const;
  KeyValue rows(int n) const { return rows(0, n); }
  /** Replaces all by a head and a tail: positions [0, n_head) and then those
   *  from `begin` on. Throws InvalidInput unless 0 <= n_head <= begin and the
   *  shapes are those of the cache. */
  void restore(const KeyValue& rows, int n_head, int begin) const;

  /** Adds arrays that are ready once all that was appended is. */
  void append_arrays(std::vector<mx::array>& arrays) const;

  /** For the kernels alone. */
  struct State {
    cpu::KvShape shape;
    Layout layout = Layout::kPages;
    int quantize_from = kNever;
    KvType quantized_type = KvType::kInt8;
    // Positions [keep, start) were given up; none where start <= keep.
    int keep = 0, start = 0;
    // Of kPage positions each, null where they were given up. Steps that have
    // yet to run share them.
    std::vector<std::shared_ptr<AlignedBuffer>> pages;
    std::optional<mx::array> written;  // by the newest append to the pages
    std::optional<KeyValue> arrays;    // without the positions given up

    int n_gone() const { return start > keep ? start - keep : 0; }
    /** The page's shape. */
    cpu::KvShape shape_of(std::size_t page) const;
  };
  State& state() const { return *state_; }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace skua
