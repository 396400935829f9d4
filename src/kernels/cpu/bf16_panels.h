#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/cpu/bf16_rows.h"
#include "kernels/cpu/tiles-inl.h"

namespace skua::cpu {

/** A part of a weight matrix, and where it goes as bfloat16 in tiles:
 *  [steps][kMaxRows][kBf16Step]. */
struct Bf16Part {
  static constexpr std::size_t kMaxRows = 2 * kTileLanes;
  static constexpr std::size_t kMaxColumns = 512;
  /** Numbers in a tile, and from a step to the next. */
  static constexpr std::size_t kTileNumbers = kTileLanes * kBf16Step;
  static constexpr std::size_t kStepNumbers = kMaxRows * kBf16Step;

  const MatrixView* w = nullptr;
  Range rows, columns;  // none after the last part
  // Of all groups of each row, from scale_rows(); none if dense.
  const float* scales = nullptr;
  const float* biases = nullptr;
  std::uint16_t* out = nullptr;
  std::ptrdiff_t to_next = 0;  // bytes to the weights of the part after this

  /** Where 32 numbers of a row go, both counted from the part's first. */
  std::uint16_t* step(std::size_t row, std::size_t column) const {
    return out + column / kBf16Step * kStepNumbers + row * kBf16Step;
  }
};

/** The parts of some rows of a weight matrix one after the other, with memory
 *  for the one that is multiplied and the next, which is decoded meanwhile.
 *  One for each thread; its memory is used again. */
class Bf16Panels {
 public:
  /** All columns of a part's rows before the next rows, or the reverse. */
  enum class Order { kAlongRows, kAlongColumns };

  /** For `rows` of w, which must stay alive, in parts of n_columns. */
  void begin(const MatrixView& w, Range rows, std::size_t n_columns,
             Order order);

  std::size_t n_parts() const { return n_row_parts_ * n_column_parts_; }
  /** Part i, or one of no rows. */
  Bf16Part part(std::size_t i) const;

 private:
  Range rows_of(std::size_t i) const;
  Range columns_of(std::size_t i) const;
  const std::uint8_t* weights_of(std::size_t i) const;

  MatrixView w_;
  Range rows_;
  std::size_t n_columns_ = 0;
  Order order_ = Order::kAlongRows;
  std::size_t n_row_parts_ = 0, n_column_parts_ = 0;
  std::size_t n_groups_ = 0;
  std::vector<float> scales_;  // of all rows, then their biases
  AlignedBuffer memory_;
  std::uint16_t* numbers_ = nullptr;  // of two parts
};

/** All eighths of a decoder's next unit. */
template <class Decoder>
SKUA_INLINE_TARGET inline void decode_unit(Decoder& decoder) {
  decoder.template eighth<0>();
  decoder.template eighth<1>();
  decoder.template eighth<2>();
  decoder.template eighth<3>();
  decoder.template eighth<4>();
  decoder.template eighth<5>();
  decoder.template eighth<6>();
  decoder.template eighth<7>();
}

}  // namespace skua::cpu
