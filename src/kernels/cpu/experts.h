#pragma once

#include <cstdint>

#include "kernels/cpu/matrix.h"

namespace skua::cpu {

/** Matrices [N, K] of n_experts experts, one below the other. */
struct ExpertsView {
  MatrixView all;  // [n_experts * N, K]
  std::size_t n_experts = 0;

  std::size_t n_rows() const { return all.n_rows / n_experts; }
  std::size_t n_cols() const { return all.n_cols; }
  MatrixView expert(std::size_t i) const;
};

/** The experts of each token: ids [n_tokens, n_slots]. */
struct ExpertIds {
  const std::int32_t* ids;
  std::size_t n_tokens;
  std::size_t n_slots;
};

/** Expert ids[t, j] times x[t] or, if `x_per_slot`, x[t, j], for every slot.
 *  bias  [n_experts, N] or none
 *  x     [n_tokens, K] or [n_tokens, n_slots, K]
 *  y     [n_tokens, n_slots, N]
 *  A row of y depends on its row of x and its id alone, and no weight of an
 *  expert is read that has no token. Throws InvalidInput for an id outside
 *  [0, n_experts). */
void expert_linear(const ExpertsView& w, const float* bias,
                   const ExpertIds& ids, bool x_per_slot, const float* x,
                   float* y);

struct GatedExperts {
  ExpertsView gate;  // N rows, K columns
  ExpertsView up;    // N rows, K columns
  ExpertsView down;  // K rows, N columns
  void (*activation)(const float* gate, const float* up, std::size_t n,
                     float* y);
};

/** y[t] = sum over j, in this order, of weights[t, j] times
 *  down(activation(gate x[t], up x[t])) of expert ids[t, j].
 *  weights  [n_tokens, n_slots]
 *  x, y     [n_tokens, K]
 *  Reads and throws as expert_linear does. */
void expert_gated_mlp(const GatedExperts& experts, const ExpertIds& ids,
                      const float* weights, const float* x, float* y);

}  // namespace skua::cpu
