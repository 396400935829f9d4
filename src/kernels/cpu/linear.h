#pragma once

#include <cstdint>
#include <span>

#include "kernels/cpu/matrix.h"

namespace skua::cpu {

/** y = x w^T + bias + residual for one of the matrices that share x. */
struct LinearJob {
  MatrixView w;
  float* y = nullptr;               // [n_tokens, w.n_rows]
  const float* bias = nullptr;      // [w.n_rows] or none
  const float* residual = nullptr;  // [n_tokens, w.n_rows] or none
};

/** All jobs, which may have no output in common.
 *  x  [n_tokens, K], K the columns of every matrix
 *  A row of y does not depend on how many threads share the work; but for
 *  kDefault and kFast it depends on its row of x alone, not on n_tokens. */
void linear(std::span<const LinearJob> jobs, const float* x,
            std::size_t n_tokens);

/** y = activation(gate, up) of gate = x w_gate^T and up = x w_up^T.
 *  activation  gets n numbers of each and writes n
 *  y           [n_tokens, w_gate.n_rows] */
void gated_linear(const MatrixView& w_gate, const MatrixView& w_up,
                  void (*activation)(const float* gate, const float* up,
                                     std::size_t n, float* y),
                  const float* x, std::size_t n_tokens, float* y);

/** True if gated_mlp() takes these. */
bool fuses_gated_mlp(const MatrixView& w_gate, const MatrixView& w_up,
                     const MatrixView& w_down, std::size_t n_tokens);

/** As gated_linear() and then `down`, with the same bits, but with no float32
 *  numbers in between. */
void gated_mlp(const MatrixView& w_gate, const MatrixView& w_up,
               void (*activation)(const float* gate, const float* up,
                                  std::size_t n, float* y),
               const LinearJob& down, const float* x, std::size_t n_tokens);

/** out[i] = row ids[i] of w; out is [n, w.n_cols].
 *  Throws InvalidInput for an id outside [0, w.n_rows). */
void embedding(const MatrixView& w, const std::int32_t* ids, std::size_t n,
               float* out);

}  // namespace skua::cpu
