#pragma once

#include <mlx/array.h>

#include <cstdint>
#include <span>
#include <vector>

#include "models/model.h"

namespace skua {

/** A model computed the slow and simple way, to compare everything with: the
 *  whole sequence anew for every token, in float32 on the weights as stored,
 *  by plain MLX operations and an attention written apart; no kernel of ours,
 *  nothing fused, no cache. To be used on the thread that owns MLX. On a GPU
 *  the model must have been loaded with Precision::kExact. */
class Oracle {
 public:
  /** model  outlives the oracle */
  explicit Oracle(const CausalLM& model) : model_(&model) {}

  /** Logits after the last of ids, [V].
   *  Throws InvalidInput for no ids or one outside the vocabulary. */
  std::vector<float> logits(std::span<const std::int32_t> ids) const;

  /** The same as log-probabilities, natural, summed in float64. */
  std::vector<double> log_probabilities(
      std::span<const std::int32_t> ids) const;

  /** The graph of logits(), [1, V], not yet evaluated. */
  mx::array graph(std::span<const std::int32_t> ids) const;

 private:
  const CausalLM* model_;
};

}  // namespace skua
