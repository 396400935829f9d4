#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "skua/generation.h"

namespace skua {

struct TokenRoles;

/** A number for each token of a vocabulary. Clearing it costs as much as was
 *  set, not the vocabulary. */
class TokenTable {
 public:
  /** Sets all numbers to 0 and makes room for this vocabulary. */
  void clear(std::size_t vocab_size);
  /** The number of a token of the vocabulary, which the caller makes more
   *  than 0. */
  int& operator[](std::int32_t id) {
    int& number = numbers_[static_cast<std::size_t>(id)];
    if (number == 0) tokens_.push_back(id);
    return number;
  }
  /** The tokens whose number is not 0. */
  std::span<const std::int32_t> tokens() const { return tokens_; }

 private:
  std::vector<int> numbers_;  // [V]
  std::vector<std::int32_t> tokens_;
};

/** For each token [n]: how many tokens, it and those before it, are the same
 *  as the last ones of all. Of the last token this is n. Linear in n.
 *  Valid until the next call on this thread.
 *  Source: the Z function of the reversed tokens, Gusfield, "Algorithms on
 *  strings, trees and sequences", 1.4. */
std::span<const int> suffix_matches(std::span<const std::int32_t> tokens);

/** Which tokens end a repetition, found out as they are met. */
class Breakers {
 public:
  bool contains(std::int32_t id, const std::vector<std::string>& breakers,
                const TokenRoles& roles);

 private:
  enum class Known : char { kNot, kNo, kYes };
  std::vector<Known> known_;  // [V]
};

/** Forbids what would complete a run of n tokens that the history has.
 *  Source: Hugging Face's NoRepeatNGramLogitsProcessor. */
void forbid_repeated_ngrams(std::span<const std::int32_t> history, int n,
                            std::span<float> logits);

/** Subtracts DRY's penalties, see GenerationOptions::dry_multiplier. A token
 *  that is a breaker has none. */
void penalize_repetitions(std::span<const std::int32_t> history,
                          const GenerationOptions& options,
                          const TokenRoles& roles, Breakers& breakers,
                          std::span<float> logits);

/** The nearest float32 that is finite, or -inf for -inf. */
float finite(double x);

}  // namespace skua
