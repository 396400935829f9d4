#pragma once

#include <cstddef>

namespace skua::cpu {

/** y[t] = x[t] / sqrt(mean(x[t]^2) + eps) * weight; x, y [n_rows, n_cols],
 *  weight [n_cols]. y may be x. */
void rms_norm(const float* x, const float* weight, std::size_t n_rows,
              std::size_t n_cols, float eps, float* y);

/** Rotates the first 2 * half numbers of each head by the row's angles.
 *  x, y      [n_rows, n_heads, head_dim]
 *  cos, sin  [n_rows, half]
 *  Pairs are (i, i + half), or (2 i, 2 i + 1) if interleaved. y may be x. */
void rope(const float* x, const float* cos, const float* sin,
          std::size_t n_rows, std::size_t n_heads, std::size_t head_dim,
          std::size_t half, bool interleaved, float* y);

/** y = silu(gate) * up. */
void silu_gate(const float* gate, const float* up, std::size_t n, float* y);

/** y = gelu(gate) * up with the tanh form of GELU. */
void gelu_tanh_gate(const float* gate, const float* up, std::size_t n,
                    float* y);

}  // namespace skua::cpu
