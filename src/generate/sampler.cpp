#include "generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "generate/constraint.h"
#include "generate/options.h"
#include "kernels/cpu/vocabulary.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

// Megabytes for a large vocabulary: one for all sequences of a thread.
struct Workspace {
  Filters filters;
  Distribution distribution;
  std::vector<float> processed;
  std::vector<float> weights;
};

Workspace& workspace() {
  thread_local Workspace buffers;
  return buffers;
}

[[noreturn]] void refuse(const Turn& turn, std::span<const float> before,
                         std::span<const float> after) {
  const std::string where =
      "at step " + std::to_string(turn.history.step()) + " ";
  const std::string fault = fault_of(turn, before);
  if (fault.empty()) {
    throw Error("sampler", where +
                               "the model's logits are not finite; its weights "
                               "may be damaged");
  }
  if (std::ranges::all_of(after, [](float x) { return x == kNever; })) {
    const Constraint* constraint = turn.history.constraint;
    throw Error("sampler", where + fault + " forbids the last token" +
                               (constraint && fault != constraint->option()
                                    ? std::string(" that ") +
                                          constraint->option() + " allows"
                                    : ""));
  }
  throw Error("sampler", where + fault + " left a logit that is not finite");
}

std::vector<std::int32_t> xtc_spares(const GenerationOptions& options,
                                     const TokenRoles& roles) {
  std::vector<std::int32_t> ids;
  if (options.xtc_special_tokens) {
    ids = *options.xtc_special_tokens;
  } else {
    ids = roles.newline_ids;
    ids.insert(ids.end(), roles.eos_ids.begin(), roles.eos_ids.end());
  }
  std::ranges::sort(ids);
  return ids;
}

std::optional<std::int32_t> forced(const History& history) {
  if (history.constraint == nullptr) return std::nullopt;
  return history.constraint->forced();
}

double temperature_of(const GenerationOptions& options,
                      const Filtered& filtered) {
  const double t = options.temperature;
  if (options.dynatemp_range == 0) return t;
  const std::span<const float> logits = filtered.tokens.logits;
  const auto n = logits.size() -
                 static_cast<std::size_t>(std::ranges::count(logits, kNever));
  if (n < 2) return t;
  const double nats =
      entropy_of(logits, filtered.largest, workspace().weights).nats;
  const double part =
      std::clamp(nats / std::log(static_cast<double>(n)), 0.0, 1.0);
  const double least = std::max(0.0, t - options.dynatemp_range);
  const double most = t + options.dynatemp_range;
  return least + (most - least) * std::pow(part, options.dynatemp_exponent);
}

}  // namespace

Sampler::Sampler(const GenerationOptions& options, TokenRoles roles,
                 std::uint64_t seed, std::uint32_t sequence)
    : options_(options),
      roles_(std::move(roles)),
      seed_(seed),
      sequence_(sequence),
      xtc_spares_(xtc_spares(options_, roles_)),
      most_surprise_(2 * options_.mirostat_tau) {
  check(options_, roles_.vocab_size);
}

Sampler::Processed Sampler::process(std::span<const float> logits,
                                    const History& history) {
  const Turn turn = this->turn(history);
  std::span<const float> processed = logits;
  if (has_processors(turn)) {
    // A callback may use other samplers of this thread.
    std::vector<float> copy = std::exchange(workspace().processed, {});
    copy.assign(logits.begin(), logits.end());
    skua::process(turn, copy);
    workspace().processed = std::move(copy);
    processed = workspace().processed;
  }
  const auto largest = cpu::largest_of(processed.data(), processed.size());
  if (!largest.usable) refuse(turn, logits, processed);
  return {processed, largest};
}

Filtered Sampler::filter(const Processed& processed, std::size_t step) const {
  Xtc xtc{false, xtc_spares_};
  if (options_.xtc_probability > 0)
    xtc.on = uniform(Purpose::kXtc, step) <= options_.xtc_probability;
  return workspace().filters.apply(processed.logits, processed.largest.value,
                                   options_, xtc);
}

const Distribution& Sampler::distribute(const Processed& processed,
                                        std::size_t step) const {
  const Filtered filtered = filter(processed, step);
  Distribution& distribution = workspace().distribution;
  distribution.set(filtered, temperature_of(options_, filtered));
  if (options_.mirostat != 0) distribution.cut_surprise(most_surprise_);
  return distribution;
}

void Sampler::learn(double probability) {
  if (options_.mirostat == 0 || probability <= 0) return;
  const double surprise = -std::log2(probability);
  most_surprise_ -= options_.mirostat_eta * (surprise - options_.mirostat_tau);
}

Choice Sampler::describe(std::int32_t token, const Processed& processed) const {
  Choice choice{token, {}, {}};
  if (!wants_logprobs()) return choice;
  const auto [logits, largest] = processed;
  const double log_total = std::log(cpu::softmax_weights(
      logits.data(), logits.size(), largest.value, 1, nullptr, nullptr));
  const auto logprob = [&](float logit) {
    return double{logit} - largest.value - log_total;
  };
  choice.logprob = logprob(logits[static_cast<std::size_t>(token)]);
  if (options_.top_logprobs == 0) return choice;
  const TokenSpan top = workspace().filters.likeliest(logits, largest.value,
                                                      options_.top_logprobs);
  for (std::size_t i = 0; i < top.logits.size(); ++i)
    choice.top_logprobs.push_back({top.ids[i], logprob(top.logits[i])});
  std::ranges::sort(choice.top_logprobs, [](const TokenLogprob& a,
                                            const TokenLogprob& b) {
    return a.logprob != b.logprob ? a.logprob > b.logprob : a.token < b.token;
  });
  return choice;
}

Choice Sampler::choose(std::span<const float> logits, const History& history) {
  if (const auto id = forced(history)) return accept(*id, logits, history);
  const Processed processed = process(logits, history);
  if (options_.temperature == 0)
    return describe(static_cast<std::int32_t>(processed.largest.index),
                    processed);
  const Distribution& distribution = distribute(processed, history.step());
  const std::int32_t token =
      distribution.draw(uniform(Purpose::kDraw, history.step()));
  learn(distribution.probability(token));
  return describe(token, processed);
}

bool Sampler::draws_from_logits(const History& history) {
  return !learns() && !has_processors(turn(history), By::kHistory);
}

std::int32_t Sampler::foresee(std::span<const float> logits,
                              std::size_t step) const {
  Breakers no_breakers;
  const History no_history;
  const Turn turn{options_, roles_, no_history, no_breakers, step};
  if (has_processors(turn, By::kStep)) {
    std::vector<float>& copy = workspace().processed;
    copy.assign(logits.begin(), logits.end());
    process_by_step(turn, copy);
    logits = copy;
  }
  const auto largest = cpu::largest_of(logits.data(), logits.size());
  if (options_.temperature == 0 || !largest.usable)
    return static_cast<std::int32_t>(largest.index);
  return distribute({logits, largest}, step)
      .draw(uniform(Purpose::kDraw, step));
}

std::vector<double> Sampler::probabilities(std::span<const float> logits,
                                           const History& history) {
  const auto sure_of = [&](std::size_t id) {
    std::vector<double> one(logits.size());
    one[id] = 1;
    return one;
  };
  if (const auto id = forced(history))
    return sure_of(static_cast<std::size_t>(*id));
  const Processed processed = process(logits, history);
  if (options_.temperature != 0)
    return distribute(processed, history.step()).dense(logits.size());
  return sure_of(processed.largest.index);
}

Choice Sampler::accept(std::int32_t token, std::span<const float> logits,
                       const History& history) {
  if (!looks_at_accepted()) return {token, {}, {}};
  const Processed processed = process(logits, history);
  if (learns()) learn(distribute(processed, history.step()).probability(token));
  return describe(token, processed);
}

std::vector<float> Sampler::filtered_log_probabilities(
    std::span<const float> logits, const History& history) {
  const Processed processed = process(logits, history);
  const TokenSpan kept = filter(processed, history.step()).tokens;
  std::vector<float> all(logits.size());
  cpu::log_softmax(processed.logits.data(), all.size(), all.data());
  if (kept.ids.empty()) return all;
  std::vector<float> filtered(all.size(), kNever);
  for (const std::int32_t id : kept.ids) {
    const auto i = static_cast<std::size_t>(id);
    filtered[i] = all[i];
  }
  return filtered;
}

}  // namespace skua
