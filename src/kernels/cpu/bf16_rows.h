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

/** True if w's columns are interleaved: of each whole 128, step j holds the
 *  columns 4 t + j, so that a shift brings a step out of packed nibbles. */
constexpr bool interleaves_columns(const MatrixView& w) {
  return w.bits == 4;
}

/** x [n_cols] as bfloat16, in the order that `interleaved` tells. */
void round_bf16(const float* x, std::size_t n_cols, bool interleaved,
                std::uint16_t* out);

/** Columns of a row of w; those of step i at out + i * stride.
 *  columns         begins at a multiple of 128
 *  scales, biases  of the row's groups, from scale_row(); none if dense */
void decode_bf16(const MatrixView& w, std::size_t row, Range columns,
                 const float* scales, const float* biases, std::uint16_t* out,
                 std::size_t stride);

}  // namespace skua::cpu
