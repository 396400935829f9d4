#include "generate/score.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <cmath>

#include "generate/session.h"
#include "kernels/cpu/vocabulary.h"
#include "skua/error.h"

namespace skua {
namespace {

using Ids = std::span<const std::int32_t>;

void check_text(const CausalLM& model, Ids ids, std::size_t n_before,
                int context) {
  check_ids(ids, model.vocab_size(), "score");
  const std::size_t n = n_before + ids.size();
  if (context != 0 && n > static_cast<std::size_t>(context)) {
    throw InvalidInput("score",
                       "the text has " + std::to_string(n) +
                           " tokens, expected at most the context of " +
                           std::to_string(context));
  }
}

struct TokenScore {
  double log_probability;
  bool is_greedy;
};

TokenScore score_token(std::span<const float> logits, std::int32_t id) {
  const auto largest = cpu::largest_of(logits.data(), logits.size());
  if (!largest.usable)
    throw Error("score", "the model's logits are no finite numbers");
  const double sum = cpu::softmax_weights(logits.data(), logits.size(),
                                          largest.value, 1, nullptr, nullptr);
  const auto at = static_cast<std::size_t>(id);
  return {static_cast<double>(logits[at]) - largest.value - std::log(sum),
          largest.index == at};
}

// A sequence that is read to score what comes next.
class Reader {
 public:
  Reader(const CausalLM& model, const ScoreOptions& options)
      : model_(model),
        options_(options),
        cache_(model.make_cache(options.kv_type)),
        sequence_(cache_.add_sequence()) {}

  // Feeds ids without logits.
  void skip(Ids ids) {
    for (std::size_t i = 0; i < ids.size(); i += Session::kChunk) {
      feed(ids.subspan(i,
                       std::min<std::size_t>(ids.size() - i, Session::kChunk)),
           false);
      mx::eval(cache_.arrays());
    }
  }

  // Feeds ids and calls found(i, logits after ids[i]) for each.
  template <class Found>
  void read(Ids ids, const Found& found) {
    const auto vocab_size = static_cast<std::size_t>(model_.vocab_size());
    for (std::size_t i = 0; i < ids.size(); i += kScoredRows) {
      const std::size_t n = std::min<std::size_t>(ids.size() - i, kScoredRows);
      mx::array logits = mx::contiguous(*feed(ids.subspan(i, n), true));
      logits.eval();
      for (std::size_t r = 0; r < n; ++r)
        found(i + r,
              std::span(logits.data<float>() + r * vocab_size, vocab_size));
      n_scored_ += n;
      if (options_.progress) options_.progress(n_scored_);
    }
  }

  // The same in a copy of the sequence, which windows may let no one rewind.
  template <class Found>
  void read_aside(Ids ids, const Found& found) {
    const int original = sequence_;
    sequence_ = cache_.fork(original);
    read(ids, found);
    cache_.remove(sequence_);
    sequence_ = original;
  }

 private:
  std::optional<mx::array> feed(Ids ids, bool all_logits) {
    const auto n = static_cast<int>(ids.size());
    Batch batch;
    batch.add(sequence_, cache_.length(sequence_), n);
    for (int r = 0; all_logits && r < n; ++r) batch.output_rows.push_back(r);
    return model_.forward(mx::array(ids.begin(), {n}, mx::int32), batch,
                          cache_);
  }

  const CausalLM& model_;
  const ScoreOptions& options_;
  Cache cache_;
  int sequence_;
  std::size_t n_scored_ = 0;
};

std::string count_text(std::size_t n) {
  return std::to_string(n) + (n == 1 ? " token" : " tokens");
}

std::vector<TokenScore> score_tokens(const CausalLM& model, Ids ids, int first,
                                     const ScoreOptions& options) {
  check_text(model, ids, 0, options.context);
  if (first < 1 || static_cast<std::size_t>(first) > ids.size()) {
    throw InvalidInput(
        "score", "the first token to score is " + std::to_string(first) +
                     ", expected 1 to the text's " + count_text(ids.size()));
  }
  std::vector<TokenScore> scores;
  const auto from = static_cast<std::size_t>(first);
  if (from == ids.size()) return scores;
  scores.reserve(ids.size() - from);
  Reader reader(model, options);
  reader.skip(ids.first(from - 1));
  reader.read(ids.subspan(from - 1, ids.size() - from),
              [&](std::size_t i, std::span<const float> logits) {
                scores.push_back(score_token(logits, ids[from + i]));
              });
  return scores;
}

}  // namespace

std::vector<double> token_log_probabilities(const CausalLM& model, Ids ids,
                                            int first,
                                            const ScoreOptions& options) {
  std::vector<double> scores;
  for (const TokenScore& token : score_tokens(model, ids, first, options))
    scores.push_back(token.log_probability);
  return scores;
}

Perplexity perplexity(const CausalLM& model, Ids ids,
                      const PerplexityOptions& options) {
  if (ids.size() < 2) {
    throw InvalidInput("perplexity", "the text has " + count_text(ids.size()) +
                                         ", expected at least 2");
  }
  if (options.window < 0 || options.window == 1) {
    throw InvalidInput("perplexity",
                       "the window is " + std::to_string(options.window) +
                           ", expected 2 tokens or more, or 0 for all");
  }
  const std::size_t window = options.window == 0
                                 ? ids.size()
                                 : static_cast<std::size_t>(options.window);
  if (options.stride < 0 || static_cast<std::size_t>(options.stride) > window) {
    throw InvalidInput("perplexity",
                       "the stride is " + std::to_string(options.stride) +
                           ", expected 1 to the window of " +
                           std::to_string(window) + ", or 0 for the window");
  }
  const std::size_t stride =
      options.stride == 0 ? window : static_cast<std::size_t>(options.stride);
  check_text(model, ids, 0, 0);
  Perplexity result;
  double total = 0;
  std::size_t n_greedy = 0;
  std::size_t scored_to = 0;
  for (std::size_t begin = 0; scored_to < ids.size(); begin += stride) {
    const Ids part = ids.subspan(begin, std::min(window, ids.size() - begin));
    const std::size_t first = std::max<std::size_t>(scored_to, begin + 1);
    ScoreOptions score{0, options.kv_type, {}};
    if (options.progress) {
      score.progress = [&](std::size_t n) {
        options.progress(result.n_scored + n);
      };
    }
    const auto scores =
        score_tokens(model, part, static_cast<int>(first - begin), score);
    for (const TokenScore& token : scores) {
      total -= token.log_probability;
      n_greedy += token.is_greedy ? 1 : 0;
    }
    result.n_scored += scores.size();
    ++result.n_windows;
    scored_to = begin + part.size();
  }
  const auto n = static_cast<double>(result.n_scored);
  result.nll = total / n;
  result.accuracy = static_cast<double>(n_greedy) / n;
  result.perplexity = std::exp(result.nll);
  return result;
}

std::vector<ContinuationScore> score_continuations(
    const CausalLM& model, Ids context,
    const std::vector<std::vector<std::int32_t>>& continuations,
    const ScoreOptions& options) {
  if (context.empty()) throw InvalidInput("score", "the context has no tokens");
  check_text(model, context, 0, options.context);
  for (const auto& continuation : continuations) {
    if (continuation.empty())
      throw InvalidInput("score", "a continuation has no tokens");
    check_text(model, continuation, context.size(), options.context);
  }
  std::vector<ContinuationScore> scores(continuations.size());
  Reader reader(model, options);
  reader.skip(context.first(context.size() - 1));
  const auto add = [](ContinuationScore& score, TokenScore token) {
    score.log_probability += token.log_probability;
    score.is_greedy = score.is_greedy && token.is_greedy;
    score.token_log_probabilities.push_back(token.log_probability);
  };
  reader.read(context.last(1), [&](std::size_t, std::span<const float> logits) {
    for (std::size_t c = 0; c < scores.size(); ++c)
      add(scores[c], score_token(logits, continuations[c][0]));
  });
  for (std::size_t c = 0; c < scores.size(); ++c) {
    const Ids ids = continuations[c];
    reader.read_aside(ids.first(ids.size() - 1),
                      [&](std::size_t i, std::span<const float> logits) {
                        add(scores[c], score_token(logits, ids[i + 1]));
                      });
  }
  return scores;
}

ContinuationScore score(const CausalLM& model, Ids context, Ids continuation,
                        const ScoreOptions& options) {
  return score_continuations(model, context,
                             {{continuation.begin(), continuation.end()}},
                             options)
      .front();
}

EncodedPair encode_pair(const Tokenizer& tokenizer, std::string context,
                        std::string continuation) {
  const std::size_t end = context.find_last_not_of(" \t\r\n");
  const std::size_t n_kept = end == std::string::npos ? 0 : end + 1;
  continuation.insert(0, context, n_kept);
  context.resize(n_kept);
  const auto encode = [&](const std::string& text) {
    return tokenizer.encode(text, {.add_special = false});
  };
  EncodedPair pair{encode(context), encode(context + continuation)};
  const std::size_t n_before =
      std::min(pair.context.size(), pair.continuation.size());
  pair.continuation.erase(
      pair.continuation.begin(),
      pair.continuation.begin() + static_cast<std::ptrdiff_t>(n_before));
  const SpecialTokens& special = tokenizer.special();
  if (special.add_bos && special.bos)
    pair.context.insert(pair.context.begin(), *special.bos);
  return pair;
}

}  // namespace skua
