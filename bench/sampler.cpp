#include "bench/sampler.h"

#include <chrono>
#include <random>
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

double microseconds_per_token(Sampler& sampler,
                              const std::vector<float>& logits) {
  using Clock = std::chrono::steady_clock;
  std::int64_t ids = 0;
  const std::vector<std::int32_t> tokens(kTokens);
  const auto begin = Clock::now();
  for (std::size_t step = 0; step < kTokens; ++step)
    ids += sampler.choose(logits, {std::span(tokens).first(step), 0}).token;
  const std::chrono::duration<double, std::micro> time = Clock::now() - begin;
  return ids < 0 ? 0 : time.count() / kTokens;
}

}  // namespace

void run_sampler_tests(const std::function<void(const Json&)>& emit) {
  const std::pair<const char*, GenerationOptions> kinds[] = {
      {"greedy", {}},
      {"temperature", {.temperature = 0.8}},
      {"top_p", {.temperature = 0.8, .top_p = 0.9}},
      {"top_k_top_p_min_p",
       {.temperature = 0.8, .top_p = 0.95, .min_p = 0.05, .top_k = 40}},
  };
  for (const bool sure : {true, false}) {
    const std::vector<float> logits = logits_of(sure);
    for (const auto& [name, options] : kinds) {
      Sampler sampler(options, {.vocab_size = kVocabulary}, 0);
      microseconds_per_token(sampler, logits);
      std::vector<double> rates;
      for (int trial = 0; trial < kTrials; ++trial)
        rates.push_back(1 / microseconds_per_token(sampler, logits));
      const Rate rate = summarize(rates);
      emit({{"test", name},
            {"logits", sure ? "sure" : "unsure"},
            {"vocabulary", kVocabulary},
            {"us_per_token",
             {{"best", 1 / rate.best}, {"median", 1 / rate.median}}}});
    }
  }
}

}  // namespace skua::bench
