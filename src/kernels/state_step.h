#pragma once

#include <mlx/array.h>

#include <optional>

namespace skua {

namespace mx = mlx::core;

/** One row of each of B sequences, for H heads of P numbers, with G groups of
 *  heads that share keys and queries of N numbers. */
struct StateStep {
  mx::array q;                    // [B, G, N]
  mx::array k;                    // [B, G, N]
  mx::array v;                    // [B, H, P]
  mx::array log_decay;            // [B, H]
  std::optional<mx::array> beta;  // [B, H]: the delta rule
};

/** What comes of rows and of the state before them. */
struct StateResult {
  mx::array y;
  mx::array state;
};

/** state = exp(log_decay) state; state += u k^T; y = state q, where u is v or,
 *  by the delta rule, beta (v - state k). On the CPU the state is read and
 *  written once, which is what a step of a large state costs.
 *  state  [B, H, P, N] float32, as all else
 *  Returns y [B, H, P] and the states after it.
 *  Throws InvalidInput where shapes or types do not fit.
 *  Source: arXiv 2405.21060, section 2; arXiv 2412.06464, equation 10. */
StateResult state_step(const StateStep& rows, const mx::array& state);

/** The plain MLX form: specification, GPU path and oracle. */
StateResult state_step_fallback(const StateStep& rows, const mx::array& state);

}  // namespace skua
