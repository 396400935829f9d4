#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "skua/generation.h"

namespace skua {

/** log_softmax of the logits with -inf for the tokens that top_p, min_p and
 *  top_k leave out, applied in this order, before temperature.
 *  Of equal logits those with lower ids are likelier.
 *  Throws Error if no logit is finite, or one is NaN or +inf.
 *  Source: mlx-lm sample_utils. */
std::vector<float> filtered_log_probabilities(std::span<const float> logits,
                                              const GenerationOptions& options);

/** Picks tokens. Its random numbers depend on the seed and the step alone. */
class Sampler {
 public:
  /** Throws InvalidInput for options out of range. */
  explicit Sampler(const GenerationOptions& options);

  /** The token for step `step`, given logits [V].
   *  Throws Error if no logit is finite, or one is NaN or +inf. */
  std::int32_t sample(std::span<const float> logits, std::uint64_t step) const;

 private:
  GenerationOptions options_;
};

}  // namespace skua
