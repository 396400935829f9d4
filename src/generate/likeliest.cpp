#include "generate/likeliest.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace skua {
namespace {

using Bounds = float[cpu::kBounds];

constexpr float kLowest = std::numeric_limits<float>::lowest();
constexpr float kHighest = std::numeric_limits<float>::infinity();

// So few are sorted at once.
constexpr std::size_t kFew = 128;
constexpr int kPasses = 16;

// Nearer to each other where the likely tokens are.
void first_bounds(float largest, Bounds& bounds) {
  float step = 0.5f;
  for (float& bound : bounds) {
    bound = std::max(largest - step, kLowest);
    step *= 2;
  }
  bounds[cpu::kBounds - 1] = kLowest;
}

void even_bounds(double most, double least, Bounds& bounds) {
  for (std::size_t j = 0; j < cpu::kBounds; ++j) {
    const double part = static_cast<double>(j + 1) / cpu::kBounds;
    bounds[j] = static_cast<float>(most - (most - least) * part);
  }
  bounds[cpu::kBounds - 1] = static_cast<float>(least);
}

}  // namespace

float at_least(double bound) {
  const auto rounded = static_cast<float>(std::max<double>(bound, kLowest));
  return rounded < bound ? std::nextafter(rounded, kHighest) : rounded;
}

void Likeliest::make_room(std::size_t n) {
  if (logits_.size() >= n) return;
  logits_.resize(n);
  ids_.resize(n);
}

TokenSpan Likeliest::within(TokenSpan tokens, cpu::LogitRange range) {
  const std::size_t n = tokens.logits.size();
  make_room(n);
  found_ = cpu::select(tokens.logits.data(),
                       tokens.ids.empty() ? nullptr : tokens.ids.data(), 0, n,
                       range, logits_.data(), ids_.data());
  return {{logits_.data(), found_.n}, {ids_.data(), found_.n}};
}

TokenSpan Likeliest::kept(std::span<const float> logits, const Cut& cut) {
  const std::size_t n = logits.size();
  make_room(n);
  const std::size_t n_with_equals =
      std::min(n, static_cast<std::size_t>(cut.id) + 1);
  within({logits.first(n_with_equals), {}}, {cut.logit, kHighest});
  const std::size_t n_before = found_.n;
  const cpu::LogitRange above{std::nextafter(cut.logit, kHighest), kHighest};
  const std::size_t n_after =
      cpu::select(logits.data() + n_with_equals, nullptr, cut.id + 1,
                  n - n_with_equals, above, logits_.data() + n_before,
                  ids_.data() + n_before)
          .n;
  return {{logits_.data(), n_before + n_after},
          {ids_.data(), n_before + n_after}};
}

void Likeliest::gather(std::span<const float> weights,
                       std::span<const std::int32_t> ids) {
  if (weights_.size() < ids.size()) weights_.resize(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i)
    weights_[i] = weights[static_cast<std::size_t>(ids[i])];
}

Cut Likeliest::last_kept(TokenSpan tokens, double before, double target,
                         bool counts) {
  ranked_.clear();
  for (std::size_t i = 0; i < tokens.logits.size(); ++i) {
    ranked_.push_back(
        {tokens.logits[i], tokens.ids[i], counts ? 1.0f : weights_[i]});
  }
  if (found_.least != found_.most) {
    std::ranges::sort(ranked_, [](const Token& a, const Token& b) {
      return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
    });
  }
  Cut last{ranked_.front().logit, ranked_.front().id};
  for (const Token& token : ranked_) {
    if (before >= target) break;
    before += token.weight;
    last = {token.logit, token.id};
  }
  return last;
}

// Finds between which bounds the weight reaches its target, and looks again at
// what lies there.
std::optional<Cut> Likeliest::until(TokenSpan tokens, float largest,
                                    std::span<const float> weights,
                                    double target) {
  const bool counts = weights.empty();
  double before = 0;
  Bounds bounds;
  first_bounds(largest, bounds);
  const float* at_hand = weights.data();
  if (!counts && !tokens.ids.empty()) {
    gather(weights, tokens.ids);
    at_hand = weights_.data();
  }
  for (int pass = 0;; ++pass) {
    double sums[cpu::kBounds];
    cpu::sums_above(tokens.logits.data(), counts ? nullptr : at_hand,
                    tokens.logits.size(), bounds, sums);
    std::size_t j = 0;
    while (j < cpu::kBounds && before + sums[j] < target) ++j;
    if (j == cpu::kBounds) {
      if (pass == 0) return std::nullopt;
      // By rounding alone; the last bound is the least logit.
      do --j;
      while (j != 0 && bounds[j - 1] == bounds[j]);
    }
    tokens = within(tokens, {bounds[j], j == 0 ? kHighest : bounds[j - 1]});
    if (j != 0) before += sums[j - 1];
    if (!counts) gather(weights, tokens.ids);
    at_hand = weights_.data();
    if (found_.n <= kFew || found_.least == found_.most || pass == kPasses)
      return last_kept(tokens, before, target, counts);
    even_bounds(found_.most, found_.least, bounds);
  }
}

std::optional<Cut> Likeliest::first(TokenSpan tokens, float largest, int n) {
  if (static_cast<std::size_t>(n) >= tokens.logits.size()) return std::nullopt;
  return until(tokens, largest, {}, n);
}

std::optional<Cut> Likeliest::min_p(std::span<const float> logits,
                                    float largest, double min_p,
                                    int min_tokens_to_keep) {
  const Cut by_p{at_least(largest + std::log(min_p)),
                 static_cast<std::int32_t>(logits.size() - 1)};
  if (min_tokens_to_keep <= 1) return by_p;
  const auto by_number = first({logits, {}}, largest, min_tokens_to_keep);
  if (!by_number) return std::nullopt;
  return by_p.keeps(by_number->logit, by_number->id) ? by_p : by_number;
}

std::optional<Cut> Likeliest::cut(std::span<const float> logits, float largest,
                                  const GenerationOptions& options, int top_k) {
  std::optional<Cut> cut;
  TokenSpan tokens{logits, {}};
  const auto stay = [&](std::optional<Cut> next) {
    if (!next) return;
    cut = next;
    tokens = kept(logits, *cut);
  };
  // Each filter keeps the first of the ranked tokens: any order will do.
  if (options.min_p > 0)
    stay(min_p(logits, largest, options.min_p, options.min_tokens_to_keep));
  if (top_k > 0) stay(first(tokens, largest, top_k));
  if (options.top_p > 0 && options.top_p < 1) {
    if (all_weights_.size() < logits.size()) all_weights_.resize(logits.size());
    const double total = cpu::softmax_weights(
        logits.data(), logits.size(), largest, 1, all_weights_.data(), nullptr);
    const auto next =
        until(tokens, largest, all_weights_, options.top_p * total);
    if (next) cut = next;
  }
  return cut;
}

}  // namespace skua
