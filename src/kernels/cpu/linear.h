#pragma once

#include <cstdint>

#include "kernels/cpu/matrix.h"

namespace skua::cpu {

/** y = x w^T in float32.
 *  x  [n_tokens, w.n_cols]
 *  y  [n_tokens, w.n_rows]
 *  A row of y depends on its row of x alone: not on n_tokens, nor on how many
 *  threads share the work. */
void linear(const MatrixView& w, const float* x, std::size_t n_tokens,
            float* y);

/** out[i] = row ids[i] of w; out is [n, w.n_cols].
 *  Throws InvalidInput for an id outside [0, w.n_rows). */
void embedding(const MatrixView& w, const std::int32_t* ids, std::size_t n,
               float* out);

}  // namespace skua::cpu
