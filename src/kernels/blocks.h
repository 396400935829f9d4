#pragma once

#include <optional>
#include <vector>

#include "kernels/elementwise.h"
#include "kernels/weight_matrix.h"

namespace skua {

/** RMS norm with its weight [D]. */
struct Norm {
  mx::array weight;
  float eps = 0;
};

/** A projection of the hidden state to heads. */
struct HeadProjection {
  const WeightMatrix* w;                         // [n_heads * d, D]
  std::optional<mx::array> bias = std::nullopt;  // [n_heads * d]
  std::optional<Norm> norm = std::nullopt;       // [d]: of each head
  bool rotated = false;                          // by the angles
};

/** Several projections of norm(x), each with its bias, then its norm, then
 *  its rotation: what precedes attention.
 *  x         [T, D]
 *  head_dim  d
 *  Returns [T, n_heads, d] for each. One node on CPU, the same bits as the
 *  functions that it is made of. Throws InvalidInput as they do. */
std::vector<mx::array> project_heads(
    const mx::array& x, const Norm& norm,
    const std::vector<HeadProjection>& projections, int head_dim,
    const RotaryAngles& angles);

struct GatedMlpWeights {
  const WeightMatrix* gate;  // [F, D]
  const WeightMatrix* up;    // [F, D]
  const WeightMatrix* down;  // [D, F]
  Gate activation = Gate::kSilu;
};

/** down(activation(gate(norm(x))) * up(norm(x))), with x added if
 *  `add_input`; x is [T, D]. One node on CPU, the same bits as the functions
 *  that it is made of. Throws InvalidInput as they do. */
mx::array gated_mlp(const mx::array& x, const Norm& norm,
                    const GatedMlpWeights& weights, bool add_input);

/** Made of the single functions: specification and GPU path. */
std::vector<mx::array> project_heads_fallback(
    const mx::array& x, const Norm& norm,
    const std::vector<HeadProjection>& projections, int head_dim,
    const RotaryAngles& angles);
mx::array gated_mlp_fallback(const mx::array& x, const Norm& norm,
                             const GatedMlpWeights& weights, bool add_input);

}  // namespace skua
