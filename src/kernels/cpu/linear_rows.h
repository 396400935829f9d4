#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/matrix.h"

namespace skua::cpu {

/** Rows of a linear layer as whole numbers, for kernels that are not written
 *  for each of Highway's targets. Not for its scalar target. */

/** True if Highway's dispatch picks AVX-512. */
bool runs_avx512();

/** x [n_cols] as 16-bit fixed point, each group of columns with its own scale;
 *  the definition is quantise_group() in int16_sums-inl.h.
 *  values  [n_cols]
 *  scales  [n_cols / group_size]
 *  sums    [n_cols / group_size], of each group's values */
void round_row(const float* x, std::size_t n_cols, std::size_t group_size,
               std::int16_t* values, float* scales, float* sums);

/** The codes of a row of w, which is quantised and not mxfp8, as bytes.
 *  out  [n_cols] */
void code_row(const MatrixView& w, std::size_t row, std::uint8_t* out);

/** Scales and biases of some rows of w, by which a code c stands for
 *  scale * c + bias.
 *  scales, biases  [n_rows, w.n_groups()] */
void scale_rows(const MatrixView& w, std::size_t first_row, std::size_t n_rows,
                float* scales, float* biases);

}  // namespace skua::cpu
