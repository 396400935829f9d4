#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/cpu/bf16_rows.h"
#include "kernels/cpu/tiles-inl.h"

namespace skua::cpu {

/** Brings weights into the second-level cache, some lines at a time, while
 *  others are multiplied. */
class WeightFetch {
 public:
  WeightFetch() = default;
  /** Columns of `rows` of w. */
  WeightFetch(const MatrixView& w, Range rows, Range columns);

  void some(std::size_t n_lines) {
    for (; n_lines > 0 && n_rows_ > 0; --n_lines) {
      __builtin_prefetch(at_ + offset_, 0, 2);
      offset_ += 64;
      if (offset_ < n_bytes_) continue;
      offset_ = 0;
      at_ += row_bytes_;
      --n_rows_;
    }
  }

 private:
  const std::uint8_t* at_ = nullptr;
  std::size_t row_bytes_ = 0, n_bytes_ = 0, n_rows_ = 0, offset_ = 0;
};

/** A part of a weight matrix as bfloat16 in tiles: [tiles of rows, steps,
 *  kTileLanes, kBf16Step], tiles of rows kRowTile apart. One for each thread;
 *  its memory is used again. */
class Bf16Panel {
 public:
  static constexpr std::size_t kMaxColumns = 2048;
  static constexpr std::size_t kMaxRows = 2 * kTileLanes;
  /** Numbers in a tile. */
  static constexpr std::size_t kTileNumbers = kTileLanes * kBf16Step;
  static constexpr std::size_t kRowTile = kTileLanes * kMaxColumns;

  /** For `rows` of w, which must stay alive. */
  void begin(const MatrixView& w, Range rows);

  /** Decodes columns of a part of the rows, counted from the first. Those past
   *  the end repeat the last one. */
  void load(Range part, Range columns);

  /** What load() is given after this, row by row and then on in the columns. */
  WeightFetch next(Range part, Range columns) const;

  const std::uint16_t* tile(std::size_t i) const {
    return numbers_.as<std::uint16_t>() + i * kRowTile;
  }

 private:
  MatrixView w_;
  Range rows_;
  std::size_t n_groups_ = 0;
  AlignedBuffer numbers_;
  std::vector<float> scales_;  // of each row scales, then biases
};

}  // namespace skua::cpu
