#include "bench/sampler.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "base/trials.h"
#include "generate/sampler.h"

namespace skua::bench {
namespace {

constexpr int kVocabulary = 128256;
constexpr int kTrials = 9;
constexpr std::size_t kTokens = 20;

// Of 300 tokens one is likely, as after most words; or all are alike.
std::vector<float> logits_of(bool sure) {
  std::mt19937 engine(1);
  std::normal_distribution<float> normal;
  std::vector<float> logits(kVocabulary);
  for (float& l : logits) {
    const bool likely = sure && engine() % 300 == 0;
    l = likely ? 3 * normal(engine) : normal(engine) - (sure ? 10.0f : 0.0f);
  }
  return logits;
}

constexpr std::size_t kHistory = 32768;

// A text of many words that says some things twice.
std::vector<std::int32_t> history() {
  std::mt19937 engine(2);
  std::vector<std::int32_t> ids(kHistory);
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(engine() % 5000);
  std::copy_n(ids.begin() + 100, 50, ids.end() - 50);
  return ids;
}

double microseconds_per_token(Sampler& sampler,
                              const std::vector<float>& logits,
                              std::span<const std::int32_t> tokens) {
  using Clock = std::chrono::steady_clock;
  std::int64_t ids = 0;
  const std::size_t n_prompt = tokens.size() - kTokens;
  const auto begin = Clock::now();
  for (std::size_t n = n_prompt; n < tokens.size(); ++n)
    ids += sampler.choose(logits, {tokens.first(n), n_prompt}).token;
  const std::chrono::duration<double, std::micro> time = Clock::now() - begin;
  return ids < 0 ? 0 : time.count() / kTokens;
}

using Kinds = std::vector<std::pair<const char*, GenerationOptions>>;

// Penalties look at all of the history.
Kinds kinds() {
  GenerationOptions callback;
  callback.processors = {[](auto, auto logits) { logits[0] = 0; }};
  return {
      {"greedy", {}},
      {"temperature", {.temperature = 0.8}},
      {"top_p", {.temperature = 0.8, .top_p = 0.9}},
      {"min_p", {.temperature = 0.8, .min_p = 0.05}},
      {"top_k", {.temperature = 0.8, .top_k = 40}},
      {"top_k_top_p_min_p",
       {.temperature = 0.8, .top_p = 0.95, .min_p = 0.05, .top_k = 40}},
      {"xtc",
       {.temperature = 0.8, .xtc_probability = 1, .xtc_threshold = 0.01}},
      {"typical_p", {.temperature = 0.8, .typical_p = 0.9}},
      {"top_n_sigma", {.temperature = 0.8, .top_n_sigma = 1}},
      {"dynatemp", {.temperature = 0.8, .dynatemp_range = 0.5}},
      {"mirostat", {.temperature = 0.8, .mirostat = 2}},
      {"top_logprobs", {.logprobs = true, .top_logprobs = 20}},
      {"logit_bias", {.logit_bias = {{7, 1.0}, {9, -1.0}}}},
      {"penalties",
       {.repetition_penalty = 1.1,
        .repetition_window = 0,
        .presence_penalty = 0.5,
        .presence_window = 0,
        .frequency_penalty = 0.1,
        .frequency_window = 0}},
      {"no_repeat_ngram", {.no_repeat_ngram = 4}},
      {"dry", {.dry_multiplier = 0.8}},
      {"callback", callback},
      {"all",
       {.temperature = 0.8,
        .top_p = 0.95,
        .min_p = 0.02,
        .xtc_probability = 0.5,
        .xtc_threshold = 0.1,
        .top_k = 100,
        .typical_p = 0.95,
        .top_n_sigma = 2,
        .dynatemp_range = 0.2,
        .mirostat = 2,
        .repetition_penalty = 1.1,
        .no_repeat_ngram = 6,
        .dry_multiplier = 0.8,
        .logprobs = true,
        .top_logprobs = 5}},
  };
}

}  // namespace

void run_sampler_tests(const std::function<void(const Json&)>& emit) {
  const std::vector<std::int32_t> tokens = history();
  for (const bool sure : {true, false}) {
    const std::vector<float> logits = logits_of(sure);
    for (const auto& [name, options] : kinds()) {
      Sampler sampler(options, {.vocab_size = kVocabulary}, 0);
      microseconds_per_token(sampler, logits, tokens);
      std::vector<double> rates;
      for (int trial = 0; trial < kTrials; ++trial)
        rates.push_back(1 / microseconds_per_token(sampler, logits, tokens));
      const Rate rate = summarize(rates);
      emit({{"test", name},
            {"logits", sure ? "sure" : "unsure"},
            {"vocabulary", kVocabulary},
            {"history", kHistory},
            {"us_per_token",
             {{"best", 1 / rate.best}, {"median", 1 / rate.median}}}});
    }
  }
}

}  // namespace skua::bench
