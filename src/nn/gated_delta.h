#pragma once

#include "nn/recurrence.h"

namespace skua {

/** The rows of a gated delta rule with H heads. */
struct DeltaRows {
  mx::array q;          // [T, H, K]
  mx::array k;          // [T, H, K]
  mx::array v;          // [T, H, V]
  mx::array log_decay;  // [T, H], at most 0
  mx::array beta;       // [T, H]
};

/** state = g state; state += beta (v - state k) k^T; y = state q, with
 *  g = exp(log_decay). The state is [H, V, K].
 *  Returns y [T, H, V] in float32.
 *  Throws InvalidInput if the shapes do not fit.
 *  Chunks use that the corrections u of a chunk's rows follow from a
 *  triangular system: u_i + beta_i sum over j < i of g_j+1..g_i (k_i k_j) u_j =
 *  beta_i (v_i - g_1..g_i state k_i).
 *  Source: Yang et al., arXiv 2412.06464; mlx-lm gated_delta.py. */
mx::array gated_delta(const DeltaRows& rows, const Batch& batch,
                      StateCache& states, int slot);

}  // namespace skua
