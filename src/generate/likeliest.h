#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/cpu/vocabulary.h"
#include "skua/generation.h"

namespace skua {

/** The last token that filters keep. Tokens are ranked by logit, of equals the
 *  lower id first; what ranks above is kept too. */
struct Cut {
  float logit = 0;
  std::int32_t id = 0;

  bool keeps(float other_logit, std::int32_t other_id) const {
    return other_logit > logit || (other_logit == logit && other_id <= id);
  }
};

/** Tokens in the order of ids; without ids they are 0, 1, ... */
struct TokenSpan {
  std::span<const float> logits;
  std::span<const std::int32_t> ids;
};

/** The least finite float32 that is not below a bound. */
float at_least(double bound);

/** Copies what a cut keeps of n tokens, whose x are ranked and of which the
 *  cut's id is a place, as cpu::select does. Returns how many those are. */
std::size_t select_kept(const cpu::Columns& from, std::size_t n, const Cut& cut,
                        const cpu::KeptColumns& to);

/** Finds what top_p, min_p and top_k keep, in time linear in the vocabulary but
 * for adversarial logits, where what is left after 16 passes is sorted. Its
 * buffers serve any number of sequences, one after the other. */
class Likeliest {
 public:
  /** The cut of top_p, min_p and top_k, applied in this order to the
   *  distribution before temperature; nothing if all that has a finite logit
   *  stays. A token is kept by top_p if those that rank above it have a
   *  probability below top_p together: summed with a relative error of 1e-6.
   *  logits   [V]
   *  largest  of them; they are usable as cpu::largest_of has it
   *  top_k    0: off */
  std::optional<Cut> cut(std::span<const float> logits, float largest,
                         const GenerationOptions& options, int top_k);

  /** The cut that keeps the first n tokens; nothing if there are no more of
   *  finite logit. n > 0, and no logit is above `most`. */
  std::optional<Cut> first(TokenSpan tokens, float most, int n);

  /** The cut that keeps a token if those that rank above it weigh less than
   *  `target`; nothing if all do.
   *  most     no logit is above it; best one of them or little more
   *  weights  of the tokens, none negative; of 1 each if there are none */
  std::optional<Cut> until(TokenSpan tokens, float most,
                           std::span<const float> weights, double target);

  /** The tokens that a cut keeps. Valid until the next call. */
  TokenSpan kept(std::span<const float> logits, const Cut& cut);

  /** The tokens in a range. Valid until the next call. */
  TokenSpan within(TokenSpan tokens, cpu::LogitRange range) {
    return narrow(tokens, {}, range);
  }

 private:
  struct Token {
    float logit = 0;
    std::int32_t id = 0;
    float weight = 0;
  };

  void make_room(std::size_t n);
  TokenSpan narrow(TokenSpan tokens, std::span<const float> weights,
                   cpu::LogitRange range);
  std::optional<Cut> min_p(std::span<const float> logits, float largest,
                           double min_p, int min_tokens_to_keep);
  std::optional<Cut> top_p(std::span<const float> logits, TokenSpan tokens,
                           float largest, double top_p);
  Cut last_kept(TokenSpan tokens, std::span<const float> weights, double before,
                double target);

  // What was kept or narrowed to, and the weights of what was narrowed to.
  std::vector<float> logits_;
  std::vector<std::int32_t> ids_;
  std::vector<float> weights_;
  cpu::Kept found_;
  std::vector<Token> ranked_;
};

}  // namespace skua
