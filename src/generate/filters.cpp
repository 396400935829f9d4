#include "generate/filters.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace skua {
namespace {

constexpr float kLowest = std::numeric_limits<float>::lowest();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Sums term(i) for i < n in several parts, so that one addition need not wait
// for the other.
template <class Term>
double sum(std::size_t n, const Term& term) {
  constexpr std::size_t kParts = 8;
  double parts[kParts] = {};
  std::size_t i = 0;
  for (; i + kParts <= n; i += kParts)
    for (std::size_t j = 0; j < kParts; ++j) parts[j] += term(i + j);
  for (; i < n; ++i) parts[i % kParts] += term(i);
  double total = 0;
  for (const double part : parts) total += part;
  return total;
}

double standard_deviation(std::span<const float> x) {
  const auto is_finite = [&](std::size_t i) { return x[i] >= kLowest; };
  const double n =
      sum(x.size(), [&](std::size_t i) { return is_finite(i) ? 1.0 : 0.0; });
  const double mean =
      sum(x.size(),
          [&](std::size_t i) { return is_finite(i) ? double{x[i]} : 0.0; }) /
      n;
  return std::sqrt(sum(x.size(),
                       [&](std::size_t i) {
                         const double d = is_finite(i) ? x[i] - mean : 0.0;
                         return d * d;
                       }) /
                   n);
}

float largest_of(TokenSpan tokens) {
  return cpu::largest_of(tokens.logits.data(), tokens.logits.size()).value;
}

}  // namespace

Entropy entropy_of(std::span<const float> logits, float largest,
                   std::vector<float>& weights) {
  const std::size_t n = logits.size();
  if (weights.size() < n) weights.resize(n);
  const double total = cpu::softmax_weights(logits.data(), n, largest, 1,
                                            weights.data(), nullptr);
  // Far below what weighs anything; -inf times 0 is no number.
  constexpr float kFar = -1000;
  const double weighted = sum(n, [&](std::size_t i) {
    return double{weights[i]} * std::max(logits[i] - largest, kFar);
  });
  const double log_total = std::log(total);
  return {log_total - weighted / total, log_total};
}

void Filters::take(TokenSpan tokens) {
  const std::size_t n = tokens.logits.size();
  if (logits_.size() < n) {
    logits_.resize(n);
    ids_.resize(n);
  }
  n_ = cpu::select(tokens.logits.data(),
                   tokens.ids.empty() ? nullptr : tokens.ids.data(), 0, n,
                   {kLowest, kInfinity}, logits_.data(), ids_.data())
           .n;
}

// stays(i) is asked of each token in turn.
template <class Stays>
void Filters::keep(const Stays& stays) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < n_; ++i) {
    const bool stay = stays(i);
    logits_[n] = logits_[i];
    ids_[n] = ids_[i];
    n += stay ? 1 : 0;
  }
  n_ = n;
}

void Filters::leave_out_top_choices(double threshold, const Xtc& xtc) {
  const float most = largest_of(taken());
  const double total =
      cpu::softmax_weights(logits_.data(), n_, most, 1, nullptr, nullptr);
  const double bound = most + std::log(threshold * total);
  float above = at_least(bound);
  if (above == bound) above = std::nextafter(above, kInfinity);
  const TokenSpan top = likeliest_.within(taken(), {above, kInfinity});
  if (top.logits.size() < 2) return;
  const float least = *std::ranges::min_element(top.logits);
  keep([&](std::size_t i) {
    return logits_[i] <= least ||
           std::ranges::binary_search(xtc.spares, ids_[i]);
  });
}

void Filters::keep_typical(double mass) {
  const TokenSpan tokens = taken();
  const float most = largest_of(tokens);
  const auto [nats, log_total] = entropy_of(tokens.logits, most, weights_);
  // A token's surprise is log_total + most - logit.
  const auto typical = static_cast<float>(most + log_total - nats);
  if (nearness_.size() < n_) nearness_.resize(n_);
  for (std::size_t i = 0; i < n_; ++i)
    nearness_[i] = -std::abs(logits_[i] - typical);
  const TokenSpan nearness{{nearness_.data(), n_}, {}};
  const auto cut = likeliest_.until(nearness, largest_of(nearness), weights_,
                                    mass * std::exp(log_total));
  if (!cut) return;
  const auto places = likeliest_.kept(nearness.logits, *cut).ids;
  n_ = places.size();
  for (std::size_t i = 0; i < n_; ++i) {
    const auto place = static_cast<std::size_t>(places[i]);
    logits_[i] = logits_[place];
    ids_[i] = ids_[place];
  }
}

void Filters::keep_first(int n) {
  const auto cut = likeliest_.first(taken(), largest_of(taken()), n);
  if (cut) keep([&](std::size_t i) { return cut->keeps(logits_[i], ids_[i]); });
}

void Filters::keep_near_largest(double distance) {
  const double least = largest_of(taken()) - distance;
  n_ = cpu::select(logits_.data(), ids_.data(), 0, n_,
                   {at_least(least), kInfinity}, logits_.data(), ids_.data())
           .n;
}

TokenSpan Filters::likeliest(std::span<const float> logits, float largest,
                             int n) {
  if (const auto cut = likeliest_.first({logits, {}}, largest, n))
    return likeliest_.kept(logits, *cut);
  take({logits, {}});
  return taken();
}

Filtered Filters::apply(std::span<const float> logits, float largest,
                        const GenerationOptions& options, const Xtc& xtc) {
  const bool typical = options.typical_p > 0 && options.typical_p < 1;
  const bool sigma = options.top_n_sigma > 0;
  TokenSpan tokens{logits, {}};
  const int top_k = xtc.on ? 0 : options.top_k;
  if (const auto cut = likeliest_.cut(logits, largest, options, top_k))
    tokens = likeliest_.kept(logits, *cut);
  if (!xtc.on && !typical && !sigma) return {tokens, largest};

  take(tokens);
  if (xtc.on) {
    leave_out_top_choices(options.xtc_threshold, xtc);
    if (options.top_k > 0) keep_first(options.top_k);
  }
  if (typical) keep_typical(options.typical_p);
  if (sigma)
    keep_near_largest(options.top_n_sigma * standard_deviation(logits));
  return {taken(), largest_of(taken())};
}

}  // namespace skua
