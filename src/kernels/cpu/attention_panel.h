#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/aligned_buffer.h"
#include "kernels/cpu/kv_pages.h"
#include "kernels/cpu/linear_input.h"

namespace skua::cpu {

inline float widen_bf16(std::uint16_t x) {
  return std::bit_cast<float>(std::uint32_t{x} << 16);
}

/** Keys and values of a head's page as bfloat16, rounded to nearest even, as
 *  right factors of products in tiles: a row holds two numbers of 16 keys or
 *  columns, side by side. Those of int8 lack the scales of their positions.
 *  One for each thread; its memory is used again. */
class AttentionPanel {
 public:
  /** Numbers in a tile of 16 rows. */
  static constexpr std::size_t kTileNumbers = 512;
  /** Positions in a step of a product of weights and values. */
  static constexpr std::size_t kStep = 32;

  /** Steps of 32 that a key takes, the last one padded with zeros. */
  static std::size_t key_steps(const KvShape& shape) {
    return (shape.key_dim + kStep - 1) / kStep;
  }

  /** Steps of a query: of it as bfloat16, then of what that lacks. Scores of
   *  tens would move too far with the query's 8 bits alone. */
  static std::size_t query_steps(const KvShape& shape) {
    return 2 * key_steps(shape);
  }

  /** Reads some of the positions; those that share a step with them are 0 as
   *  values, and any number as keys. */
  void load(const KvShape& shape, const KvHead& head, Range slots);

  /** Tile `step` of 16 keys. */
  const std::uint16_t* keys(std::size_t block, std::size_t step) const {
    return keys_.as<std::uint16_t>() +
           (block * n_key_steps_ + step) * kTileNumbers;
  }
  /** Tile `step` of 16 columns of values. */
  const std::uint16_t* values(std::size_t strip, std::size_t step) const {
    return values_.as<std::uint16_t>() +
           (strip * (kPage / kStep) + step) * kTileNumbers;
  }
  /** False if a value is infinite or no number: then a weight of 0 does not
   *  hide it. */
  bool is_finite() const { return is_finite_; }

 private:
  AlignedBuffer keys_, values_;
  std::size_t n_key_steps_ = 0;
  bool is_finite_ = true;
};

}  // namespace skua::cpu
