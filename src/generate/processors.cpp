#include "generate/processors.h"

#include <algorithm>
#include <limits>

#include "generate/constraint.h"
#include "kernels/cpu/vocabulary.h"

namespace skua {
namespace {

using Tokens = std::span<const std::int32_t>;
using Logits = std::span<float>;

constexpr float kNever = -std::numeric_limits<float>::infinity();

float* logit_of(std::int32_t id, Logits logits) {
  const auto i = static_cast<std::size_t>(id);
  return i < logits.size() ? &logits[i] : nullptr;
}

template <class Ids>
void forbid(const Ids& ids, Logits logits) {
  for (const std::int32_t id : ids)
    if (float* logit = logit_of(id, logits)) *logit = kNever;
}

Tokens window(Tokens tokens, int n) {
  const auto most = static_cast<std::size_t>(n);
  return n == 0 || most >= tokens.size() ? tokens : tokens.last(most);
}

Tokens penalized(const Turn& turn, int n) {
  const History& history = turn.history;
  Tokens tokens = history.tokens;
  if (!turn.options.penalize_prompt && history.n_prompt > 1)
    tokens = tokens.subspan(history.n_prompt - 1);
  return window(tokens, n);
}

// How often each token of the vocabulary came.
TokenTable& counts_of(Tokens tokens, std::size_t vocab_size) {
  thread_local TokenTable counts;
  counts.clear(vocab_size);
  for (const std::int32_t id : tokens)
    if (static_cast<std::size_t>(id) < vocab_size) ++counts[id];
  return counts;
}

// penalty(logit, n) is the logit of a token that came n times.
template <class Penalty>
void penalize(Tokens tokens, Logits logits, const Penalty& penalty) {
  TokenTable& counts = counts_of(tokens, logits.size());
  for (const std::int32_t id : counts.tokens()) {
    float& logit = *logit_of(id, logits);
    logit = finite(penalty(double{logit}, counts[id]));
  }
}

void forbid_the_end(const Turn& turn, Logits logits) {
  if (!turn.options.ignore_eos) forbid(turn.roles.eos_ids, logits);
  forbid(turn.options.stop_ids, logits);
}

void force(const Turn& turn, Logits logits) {
  const std::int32_t id = turn.options.force_ids[turn.step];
  const float logit = *logit_of(id, logits);
  std::ranges::fill(logits, kNever);
  *logit_of(id, logits) = logit;
}

void add_bias(const Turn& turn, Logits logits) {
  for (const auto& [id, bias] : turn.options.logit_bias)
    if (float* logit = logit_of(id, logits)) *logit = finite(*logit + bias);
}

void penalize_repetition(const Turn& turn, Logits logits) {
  const double p = turn.options.repetition_penalty;
  penalize(
      penalized(turn, turn.options.repetition_window), logits,
      [p](double logit, int) { return logit < 0 ? logit * p : logit / p; });
}

void penalize_presence(const Turn& turn, Logits logits) {
  const double p = turn.options.presence_penalty;
  penalize(penalized(turn, turn.options.presence_window), logits,
           [p](double logit, int) { return logit - p; });
}

void penalize_frequency(const Turn& turn, Logits logits) {
  const double p = turn.options.frequency_penalty;
  penalize(penalized(turn, turn.options.frequency_window), logits,
           [p](double logit, int n) { return logit - n * p; });
}

// Each is asked whether it applies at a step.
struct Step {
  const char* name;
  By depends;
  bool (*applies)(const Turn&);
  void (*run)(const Turn&, Logits);
};

// The first is named by the constraint.
constexpr Step kSteps[] = {
    {"grammar", By::kHistory,
     [](const Turn& t) { return t.history.constraint != nullptr; },
     [](const Turn& t, Logits l) { t.history.constraint->forbid_others(l); }},
    {"suppress_ids", By::kStep,
     [](const Turn& t) { return !t.options.suppress_ids.empty(); },
     [](const Turn& t, Logits l) { forbid(t.options.suppress_ids, l); }},
    {"min_tokens", By::kStep,
     [](const Turn& t) {
       return t.step < static_cast<std::size_t>(t.options.min_tokens);
     },
     forbid_the_end},
    {"force_ids", By::kStep,
     [](const Turn& t) { return t.step < t.options.force_ids.size(); }, force},
    {"logit_bias", By::kStep,
     [](const Turn& t) { return !t.options.logit_bias.empty(); }, add_bias},
    {"repetition_penalty", By::kHistory,
     [](const Turn& t) { return t.options.repetition_penalty != 1; },
     penalize_repetition},
    {"presence_penalty", By::kHistory,
     [](const Turn& t) { return t.options.presence_penalty != 0; },
     penalize_presence},
    {"frequency_penalty", By::kHistory,
     [](const Turn& t) { return t.options.frequency_penalty != 0; },
     penalize_frequency},
    {"no_repeat_ngram", By::kHistory,
     [](const Turn& t) { return t.options.no_repeat_ngram > 0; },
     [](const Turn& t, Logits l) {
       forbid_repeated_ngrams(t.history.tokens, t.options.no_repeat_ngram, l);
     }},
    {"dry_multiplier", By::kHistory,
     [](const Turn& t) { return t.options.dry_multiplier != 0; },
     [](const Turn& t, Logits l) {
       penalize_repetitions(window(t.history.tokens, t.options.dry_window),
                            t.options, t.roles, t.breakers, l);
     }},
};

}  // namespace

bool has_processors(const Turn& turn, By depends) {
  if (depends == By::kHistory && !turn.options.processors.empty()) return true;
  return std::ranges::any_of(kSteps, [&](const Step& step) {
    return step.depends == depends && step.applies(turn);
  });
}

bool has_processors(const Turn& turn) {
  return has_processors(turn, By::kStep) || has_processors(turn, By::kHistory);
}

void process_by_step(const Turn& turn, std::span<float> logits) {
  for (const Step& step : kSteps)
    if (step.depends == By::kStep && step.applies(turn)) step.run(turn, logits);
}

void process(const Turn& turn, std::span<float> logits) {
  for (const Step& step : kSteps)
    if (step.applies(turn)) step.run(turn, logits);
  for (const LogitsProcessor& processor : turn.options.processors)
    processor(turn.history.tokens, logits);
  // A callback may have allowed what does not fit.
  if (turn.history.constraint && !turn.options.processors.empty())
    turn.history.constraint->forbid_others(logits);
}

std::string fault_of(const Turn& turn, std::span<const float> logits) {
  const auto usable = [](std::span<const float> x) {
    return cpu::largest_of(x.data(), x.size()).usable;
  };
  if (!usable(logits)) return "";
  std::vector<float> copy(logits.begin(), logits.end());
  for (const Step& step : kSteps) {
    if (!step.applies(turn)) continue;
    step.run(turn, copy);
    if (usable(copy)) continue;
    return &step == kSteps ? turn.history.constraint->option() : step.name;
  }
  return "processors";
}

}  // namespace skua
