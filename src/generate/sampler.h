#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "skua/generation.h"

namespace skua {

/** What a Sampler needs to know of a model's tokens. */
struct TokenRoles {
  int vocab_size = 0;
  std::set<std::int32_t> eos_ids = {};         // what ends an answer
  std::vector<std::int32_t> newline_ids = {};  // what a line break comes to
  /** The text of a token, for DRY's breakers. */
  std::function<std::string(std::int32_t)> text = {};
};

/** The tokens that come before the one to choose. */
struct History {
  std::span<const std::int32_t> tokens;  // the prompt and what followed
  std::size_t n_prompt = 0;
};

struct Choice {
  std::int32_t token = -1;
  std::optional<double> logprob;  // where options ask for them
  std::vector<TokenLogprob> top_logprobs;
};

/** Chooses the tokens of one sequence: processors, filters, temperature, draw.
 *  Its random numbers depend on the seed, the sequence and the step alone. */
class Sampler {
 public:
  /** sequence  tells apart answers that share a seed
   *  Throws InvalidInput for options out of range. */
  Sampler(const GenerationOptions& options, TokenRoles roles,
          std::uint64_t seed, std::uint32_t sequence = 0);

  /** The token that follows `history`, given logits [V].
   *  Throws Error that names the step if a logit is NaN or +inf, or none is
   *  left; it names the constraint that forbade them all. */
  Choice choose(std::span<const float> logits, const History& history);

 private:
  GenerationOptions options_;
  TokenRoles roles_;
  std::uint64_t seed_;
  std::uint32_t sequence_;
};

/** log_softmax of the logits with -inf for the tokens that top_p, min_p and
 *  top_k leave out, applied in this order, before temperature.
 *  Of equal logits those with lower ids are likelier.
 *  Throws Error if no logit is finite, or one is NaN or +inf.
 *  Source: mlx-lm sample_utils. */
std::vector<float> filtered_log_probabilities(std::span<const float> logits,
                                              const GenerationOptions& options);

}  // namespace skua
