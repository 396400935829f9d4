#pragma once

#include <optional>
#include <string>

#include "kernels/elementwise.h"
#include "kernels/weight_matrix.h"

namespace skua {

/** The weights [N, K] of E experts, one below the other. */
struct ExpertMatrices {
  WeightMatrix all;  // [E * N, K]
  int n_experts = 0;

  int rows() const { return all.rows() / n_experts; }
  int cols() const { return all.cols(); }
};

/** Experts as checkpoints hold them: the arrays of `stacked` are those of a
 *  WeightMatrix with E in front, [E, N, ...]. Nothing is copied where they
 *  are row-contiguous.
 *  Throws InvalidInput (names `where`) unless they fit together and hold
 *  n_experts matrices [rows, cols]. */
ExpertMatrices expert_matrices(const std::string& where,
                               const WeightMatrix& stacked, int n_experts,
                               int rows, int cols);

/** A linear layer of which each token takes some of the experts:
 *  y[t, j] = x[t] w_e^T + bias[e] with e = ids[t, j].
 *  x     [T, K], or [T, k, K] for a row of its own for each slot; float32 on
 *        CPU, any float type on GPU
 *  w     E experts [N, K]
 *  ids   [T, k] int32 or uint32
 *  bias  [E, N] of x's type
 *  Returns [T, k, N] of x's type. On CPU a row of the result depends on its
 *  row of x and its id alone (T and the number of threads change no bit), and
 *  experts without a token are not read.
 *  Throws InvalidInput if shapes or types do not fit; an id outside [0, E)
 *  throws at evaluation on CPU.
 *  Source: ml-explore/mlx-lm, switch_layers.py, SwitchLinear. */
mx::array expert_linear(const mx::array& x, const ExpertMatrices& w,
                        const mx::array& ids,
                        const std::optional<mx::array>& bias = std::nullopt);

struct GatedExpertWeights {
  const ExpertMatrices* gate;  // E experts [F, D]
  const ExpertMatrices* up;    // E experts [F, D]
  const ExpertMatrices* down;  // E experts [D, F]
  Gate activation = Gate::kSilu;
};

/** y[t] = sum over j of weights[t, j] * mlp_e(x[t]) with e = ids[t, j] and
 *  mlp_e(x) = down_e(activation(gate_e(x)) * up_e(x)). The router is the
 *  caller's.
 *  x        [T, D], float32 on CPU, any float type on GPU
 *  ids      [T, k] int32 or uint32
 *  weights  [T, k] of x's type
 *  Returns [T, D] of x's type; rows, reads and errors as in expert_linear.
 *  Source: ml-explore/mlx-lm, switch_layers.py, SwitchGLU. */
mx::array expert_gated_mlp(const mx::array& x,
                           const GatedExpertWeights& experts,
                           const mx::array& ids, const mx::array& weights);

/** The plain MLX forms: specification and GPU path. */
mx::array expert_linear_fallback(
    const mx::array& x, const ExpertMatrices& w, const mx::array& ids,
    const std::optional<mx::array>& bias = std::nullopt);
mx::array expert_gated_mlp_fallback(const mx::array& x,
                                    const GatedExpertWeights& experts,
                                    const mx::array& ids,
                                    const mx::array& weights);

}  // namespace skua
