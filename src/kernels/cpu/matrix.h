#pragma once

#include <cstddef>
#include <cstdint>

#include "skua/precision.h"

namespace skua::cpu {

enum class Encoding { kDense, kAffine, kMxfp4, kMxfp8, kNvfp4 };
enum class Float { kF32, kF16, kBF16 };
constexpr std::size_t float_bytes(Float type) {
  return type == Float::kF32 ? 4 : 2;
}

/** A weight matrix [n_rows, n_cols] in memory, in any encoding that
 *  kernels/weight_matrix.h describes. Pointers need no alignment. */
struct MatrixView {
  Encoding encoding = Encoding::kDense;
  Float float_type = Float::kF32;  // of the values if dense, else the scales
  int bits = 32;
  int group_size = 0;  // columns that share a scale
  std::size_t n_rows = 0;
  std::size_t n_cols = 0;
  const std::uint8_t* values = nullptr;
  const std::uint8_t* scales = nullptr;  // [n_rows, n_cols / group_size]
  const std::uint8_t* biases = nullptr;  // as scales; affine only
  Precision precision = Precision::kExact;

  std::size_t row_bytes() const { return n_cols * bits / 8; }
  std::size_t n_groups() const { return n_cols / group_size; }
};

}  // namespace skua::cpu
