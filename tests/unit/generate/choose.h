#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "generate/sampler.h"

namespace skua::test {

/** A Sampler and the tokens that it chose. */
class Chooser {
 public:
  Chooser(const GenerationOptions& options, std::size_t vocab_size,
          std::uint64_t seed = 0, std::uint32_t sequence = 0)
      : sampler(options, {.vocab_size = static_cast<int>(vocab_size)}, seed,
                sequence) {}

  std::int32_t next(std::span<const float> logits) {
    const auto token = sampler.choose(logits, {tokens, 0}).token;
    tokens.push_back(token);
    return token;
  }

  Sampler sampler;
  std::vector<std::int32_t> tokens;
};

/** The token that follows `step` others. */
inline std::int32_t choose(std::span<const float> logits,
                           const GenerationOptions& options, std::uint64_t seed,
                           std::size_t step) {
  Chooser chooser(options, logits.size(), seed);
  chooser.tokens.assign(step, 0);
  return chooser.next(logits);
}

/** What processors and filters leave after a prompt. */
inline std::vector<float> filtered(std::span<const float> logits,
                                   const GenerationOptions& options,
                                   std::span<const std::int32_t> prompt = {}) {
  Chooser chooser(options, logits.size());
  return chooser.sampler.filtered_log_probabilities(logits,
                                                    {prompt, prompt.size()});
}

}  // namespace skua::test
