#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "generate/distribution.h"
#include "generate/processors.h"
#include "generate/random.h"
#include "skua/generation.h"

namespace skua {

struct Choice {
  std::int32_t token = -1;
  /** Where options ask for them, the likeliest first, of equals the lowest
   *  id. */
  std::optional<double> logprob;
  std::vector<TokenLogprob> top_logprobs;
};

/** Chooses the tokens of one sequence: processors, filters, temperature, draw.
 *  Its random numbers depend on the seed, the sequence and the step alone, so
 *  that a step may be asked for again or left out. Only mirostat learns from
 *  step to step; copies learn apart.
 *  Logits are [V] everywhere. What looks at them throws Error that names the
 *  step if one is NaN or +inf or none is finite, and the option that did it. */
class Sampler {
 public:
  /** sequence  tells apart answers that share a seed
   *  Throws InvalidInput for options out of range. */
  Sampler(const GenerationOptions& options, TokenRoles roles,
          std::uint64_t seed, std::uint32_t sequence = 0);

  /** The token that follows `history`: where its constraint leaves no choice,
   *  that one. */
  Choice choose(std::span<const float> logits, const History& history);

  /** Whether the choice at this step follows from its logits and number alone:
   *  nothing goes by the tokens before. */
  bool draws_from_logits(const History& history);

  /** What choose() gives at a step if draws_from_logits(), else most likely
   *  where the likeliest token is taken; any token for logits that are an
   * error. May be called on several threads at once. */
  std::int32_t foresee(std::span<const float> logits, std::size_t step) const;

  /** For tokens chosen otherwise, such as drafted ones: the distribution [V]
   *  that choose() draws from, then the choice of a token with its
   *  log-probabilities. accept() stands for choose(), learning included. */
  std::vector<double> probabilities(std::span<const float> logits,
                                    const History& history);
  Choice accept(std::int32_t token, std::span<const float> logits,
                const History& history);

  /** Whether accept() looks at the logits. */
  bool looks_at_accepted() const { return learns() || wants_logprobs(); }

  /** The log-probabilities after the processors, before temperature; -inf for
   *  what the filters leave out. */
  std::vector<float> filtered_log_probabilities(std::span<const float> logits,
                                                const History& history);

  /** A number in (0, 1) that this sequence has at a step for one purpose. */
  double uniform(Purpose purpose, std::size_t step) const {
    return philox_uniform(seed_, step, purpose, sequence_);
  }

 private:
  struct Processed {
    std::span<const float> logits;
    cpu::Largest largest;
  };

  Turn turn(const History& history) {
    return {options_, roles_, history, breakers_, history.step()};
  }
  Processed process(std::span<const float> logits, const History& history);
  Filtered filter(const Processed& processed, std::size_t step) const;
  const Distribution& distribute(const Processed& processed,
                                 std::size_t step) const;
  Choice describe(std::int32_t token, const Processed& processed) const;
  void learn(double probability);
  bool learns() const {
    return options_.mirostat != 0 && options_.temperature != 0;
  }
  bool wants_logprobs() const {
    return options_.logprobs || options_.top_logprobs > 0;
  }

  GenerationOptions options_;
  TokenRoles roles_;
  std::uint64_t seed_;
  std::uint32_t sequence_;
  std::vector<std::int32_t> xtc_spares_;
  Breakers breakers_;
  double most_surprise_;  // mirostat's mu, in bits
};

}  // namespace skua
