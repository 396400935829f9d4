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

void sum_above(std::span<const float> logits, std::span<const float> weights,
               const Bounds& bounds, double (&sums)[cpu::kBounds]) {
  const std::size_t n = logits.size();
  if (!weights.empty())
    return cpu::sums_above(logits.data(), weights.data(), n, bounds, sums);
  std::size_t counts[cpu::kBounds];
  cpu::counts_above(logits.data(), n, bounds, counts);
  std::ranges::copy(counts, sums);
}

}  // namespace

float at_least(double bound) {
  const auto rounded = static_cast<float>(std::max<double>(bound, kLowest));
  return rounded < bound ? std::nextafter(rounded, kHighest) : rounded;
}

std::size_t select_kept(const cpu::Columns& from, std::size_t n, const Cut& cut,
                        const cpu::KeptColumns& to) {
  const auto past = [](auto* column, std::size_t k) {
    return column == nullptr ? nullptr : column + k;
  };
  // Of equals the lower ids stay.
  const std::size_t n_low = std::min(n, static_cast<std::size_t>(cut.id) + 1);
  const std::size_t n_kept =
      cpu::select(from, n_low, {cut.logit, kHighest}, to).n;
  const cpu::Columns high{from.x + n_low, past(from.ids, n_low),
                          past(from.more, n_low),
                          from.first_id + static_cast<std::int32_t>(n_low)};
  const cpu::KeptColumns behind{to.x + n_kept, to.ids + n_kept,
                                past(to.more, n_kept)};
  const float above = std::nextafter(cut.logit, kHighest);
  return n_kept + cpu::select(high, n - n_low, {above, kHighest}, behind).n;
}

void Likeliest::make_room(std::size_t n) {
  if (logits_.size() >= n) return;
  logits_.resize(n);
  ids_.resize(n);
  weights_.resize(n);
}

TokenSpan Likeliest::narrow(TokenSpan tokens, std::span<const float> weights,
                            cpu::LogitRange range) {
  const std::size_t n = tokens.logits.size();
  make_room(n);
  found_ =
      cpu::select({.x = tokens.logits.data(),
                   .ids = tokens.ids.empty() ? nullptr : tokens.ids.data(),
                   .more = weights.empty() ? nullptr : weights.data()},
                  n, range, {logits_.data(), ids_.data(), weights_.data()});
  return {{logits_.data(), found_.n}, {ids_.data(), found_.n}};
}

TokenSpan Likeliest::kept(std::span<const float> logits, const Cut& cut) {
  make_room(logits.size());
  const std::size_t n = select_kept({.x = logits.data()}, logits.size(), cut,
                                    {logits_.data(), ids_.data()});
  return {{logits_.data(), n}, {ids_.data(), n}};
}

Cut Likeliest::last_kept(TokenSpan tokens, std::span<const float> weights,
                         double before, double target) {
  ranked_.clear();
  for (std::size_t i = 0; i < tokens.logits.size(); ++i) {
    ranked_.push_back(
        {tokens.logits[i], tokens.ids[i], weights.empty() ? 1.0f : weights[i]});
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
std::optional<Cut> Likeliest::until(TokenSpan tokens, float most,
                                    std::span<const float> weights,
                                    double target) {
  double before = 0;
  Bounds bounds;
  first_bounds(most, bounds);
  for (int pass = 0;; ++pass) {
    double sums[cpu::kBounds];
    sum_above(tokens.logits, weights, bounds, sums);
    std::size_t j = 0;
    while (j < cpu::kBounds && before + sums[j] < target) ++j;
    if (j == cpu::kBounds) {
      if (pass == 0) return std::nullopt;
      // By rounding alone; the last bound is the least logit.
      do --j;
      while (j != 0 && bounds[j - 1] == bounds[j]);
    }
    tokens =
        narrow(tokens, weights, {bounds[j], j == 0 ? kHighest : bounds[j - 1]});
    if (!weights.empty()) weights = {weights_.data(), found_.n};
    if (j != 0) before += sums[j - 1];
    if (found_.n <= kFew || found_.least == found_.most || pass == kPasses)
      return last_kept(tokens, weights, before, target);
    even_bounds(found_.most, found_.least, bounds);
  }
}

std::optional<Cut> Likeliest::first(TokenSpan tokens, float most, int n) {
  if (static_cast<std::size_t>(n) >= tokens.logits.size()) return std::nullopt;
  return until(tokens, most, {}, n);
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

// Tokens are all of the logits or some that a cut has left.
std::optional<Cut> Likeliest::top_p(std::span<const float> logits,
                                    TokenSpan tokens, float largest,
                                    double top_p) {
  make_room(logits.size());
  const auto weigh = [&](std::span<const float> x, float* weights) {
    return cpu::softmax_weights(x.data(), x.size(), largest, 1, weights,
                                nullptr);
  };
  const bool all = tokens.ids.empty();
  const double total = weigh(logits, all ? weights_.data() : nullptr);
  if (!all) weigh(tokens.logits, weights_.data());
  return until(tokens, largest, {weights_.data(), tokens.logits.size()},
               top_p * total);
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
    const auto next = top_p(logits, tokens, largest, options.top_p);
    if (next) cut = next;
  }
  return cut;
}

}  // namespace skua
