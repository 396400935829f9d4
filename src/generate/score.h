#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "models/model.h"
#include "text/tokenizer.h"

namespace skua {

/** How a text is read to be scored. */
struct ScoreOptions {
  /** Most tokens of a sequence; 0: no limit. */
  int context = 0;
  KvType kv_type = KvType::kF32;
  /** Called as tokens are scored. What it throws ends the scoring. */
  std::function<void(std::size_t n_scored)> progress = {};
};

/** Tokens whose logits are in memory at a time: never those of a prompt. */
inline constexpr int kScoredRows = 64;

/** Natural logarithm of each token's probability given all before it.
 *  ids    [n] a sequence from its start
 *  first  the first token to score, 1 to n
 *  Returns [n - first]; log-softmax of float32 logits, summed in float64.
 *  Throws InvalidInput for an id outside the vocabulary, `first` outside its
 *  range or more tokens than the context; Error for logits that are NaN. */
std::vector<double> token_log_probabilities(const CausalLM& model,
                                            std::span<const std::int32_t> ids,
                                            int first,
                                            const ScoreOptions& options = {});

struct PerplexityOptions {
  /** Tokens of a window, at least 2; 0: the whole text at once. */
  int window = 0;
  /** Tokens by which windows follow each other, 1 to window; 0: window. */
  int stride = 0;
  KvType kv_type = KvType::kF32;
  /** As in ScoreOptions; counts the tokens of all windows so far. */
  std::function<void(std::size_t n_scored)> progress = {};
};

struct Perplexity {
  double perplexity = 0;  // e^nll
  double nll = 0;         // mean negative log-probability of a token, natural
  double accuracy = 0;    // share of the tokens that had the highest logit
  std::size_t n_scored = 0;
  std::size_t n_windows = 0;
};

/** Perplexity of a text. Each window is read from its own first token, and of
 *  it the tokens are scored that no window before has: with a stride below the
 *  window each has window - stride tokens before it at least, with a stride
 *  equal to it the first token of every window goes unscored.
 *  ids  [n], n >= 2
 *  Throws as token_log_probabilities, and InvalidInput for options out of
 *  range or a text of less than two tokens.
 *  Sources: Hugging Face transformers, "Perplexity of fixed-length models";
 *  equal strides: mlx-lm, perplexity.py. */
Perplexity perplexity(const CausalLM& model, std::span<const std::int32_t> ids,
                      const PerplexityOptions& options = {});

/** How likely a continuation is. */
struct ContinuationScore {
  double log_probability = 0;  // of all its tokens, natural logarithm
  bool is_greedy = true;       // each token has the highest logit of its place
  std::vector<double> token_log_probabilities;
};

/** The score of each continuation of one context, which is read once.
 *  context        [n], n >= 1
 *  continuations  of one token at least
 *  Throws InvalidInput for an empty one, ids outside the vocabulary or more
 *  tokens than options.context.
 *  Source: EleutherAI/lm-evaluation-harness, loglikelihood. */
std::vector<ContinuationScore> score_continuations(
    const CausalLM& model, std::span<const std::int32_t> context,
    const std::vector<std::vector<std::int32_t>>& continuations,
    const ScoreOptions& options = {});

/** The same for one. */
ContinuationScore score(const CausalLM& model,
                        std::span<const std::int32_t> context,
                        std::span<const std::int32_t> continuation,
                        const ScoreOptions& options = {});

struct EncodedPair {
  std::vector<std::int32_t> context, continuation;
};

/** A context and its continuation as they are tokens of one text: spaces at
 *  the context's end belong to the continuation, which is what the tokens of
 *  both together have beyond those of the context.
 *  Throws InvalidInput for text that is not UTF-8.
 *  Source: EleutherAI/lm-evaluation-harness, _encode_pair. */
EncodedPair encode_pair(const Tokenizer& tokenizer, std::string context,
                        std::string continuation);

}  // namespace skua
