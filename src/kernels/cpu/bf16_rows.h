#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/linear_input.h"
#include "kernels/cpu/matrix.h"

namespace skua::cpu {

/** Rows of a linear layer as bfloat16, rounded to the nearest, for kernels
 *  that multiply it. Columns come in steps of 32. */
inline constexpr std::size_t kBf16Step = 32;

/** True if decode_bf16() takes w: dense bfloat16, affine of 4 or 8 bits in
 *  groups of 32, 64 or 128, and mxfp4, of whole steps. */
bool has_bf16_rows(const MatrixView& w);

/** What 4-bit codes stand for [16], before scale and bias. */
const float* numbers_of_codes(const MatrixView& w);

/** Columns that are interleaved together, and those decoded at a time. */
inline constexpr std::size_t kInterleaved = 128;
inline constexpr std::size_t kUnitColumns = 2 * kInterleaved;

/** True if w's columns are interleaved: in each half of a whole unit, step j
 *  holds the columns 4 t + j, so that a shift brings a step out of packed
 *  nibbles. */
constexpr bool interleaves_columns(const MatrixView& w) {
  return w.bits == 4;
}

/** Where column c of interleaved ones lies in its row. */
constexpr std::size_t interleaved_place(std::size_t c) {
  constexpr std::size_t kSteps = kInterleaved / kBf16Step;
  const std::size_t in_block = c % kInterleaved;
  return c - in_block + in_block % kSteps * kBf16Step + in_block / kSteps;
}

/** x [n_cols] as bfloat16, in the order that `interleaved` tells. */
void round_bf16(const float* x, std::size_t n_cols, bool interleaved,
                std::uint16_t* out);

}  // namespace skua::cpu
