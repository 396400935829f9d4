#include "generate/filters.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace skua {
namespace {

constexpr float kLowest = std::numeric_limits<float>::lowest();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

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
  const double weighted =
      cpu::weighted_distance(logits.data(), weights.data(), n, largest);
  const double log_total = std::log(total);
  return {log_total - weighted / total, log_total};
}

void Filters::take(TokenSpan tokens) {
  const std::size_t n = tokens.logits.size();
  if (logits_.size() < n) {
    logits_.resize(n);
    ids_.resize(n);
    nearness_.resize(n);
  }
  n_ = cpu::select({.x = tokens.logits.data(),
                    .ids = tokens.ids.empty() ? nullptr : tokens.ids.data()},
                   n, {kLowest, kInfinity}, {logits_.data(), ids_.data()})
           .n;
}

void Filters::keep_from(float least) {
  n_ = cpu::select({.x = logits_.data(), .ids = ids_.data()}, n_,
                   {least, kInfinity}, {logits_.data(), ids_.data()})
           .n;
}

void Filters::leave_out_top_choices(double threshold, const Xtc& xtc) {
  const float most = largest_of(taken());
  const double total =
      cpu::softmax_weights(logits_.data(), n_, most, 1, nullptr, nullptr);
  const double bound = most + std::log(threshold * total);
  float above = at_least(bound);
  if (above == bound) above = std::nextafter(above, kInfinity);
  const TokenSpan top =
      likeliest_.within({taken().logits, {}}, {above, kInfinity});
  if (top.logits.size() < 2) return;
  const float least = *std::ranges::min_element(top.logits);
  for (std::size_t i = 0; i < top.ids.size(); ++i) {
    const auto place = static_cast<std::size_t>(top.ids[i]);
    if (top.logits[i] > least &&
        !std::ranges::binary_search(xtc.spares, ids_[place]))
      logits_[place] = -kInfinity;
  }
  keep_from(kLowest);
}

void Filters::keep_typical(double mass) {
  const std::span<const float> logits = taken().logits;
  const float most = largest_of(taken());
  const auto [nats, log_total] = entropy_of(logits, most, weights_);
  // A token's surprise is log_total + most - logit.
  const auto typical = static_cast<float>(most + log_total - nats);
  for (std::size_t i = 0; i < n_; ++i)
    nearness_[i] = -std::abs(logits[i] - typical);
  const auto cut =
      likeliest_.until({{nearness_.data(), n_}, {}}, 0, {weights_.data(), n_},
                       mass * std::exp(log_total));
  if (!cut) return;
  n_ = select_kept(
      {.x = nearness_.data(), .ids = ids_.data(), .more = logits_.data()}, n_,
      *cut, {nearness_.data(), ids_.data(), logits_.data()});
}

void Filters::keep_first(int n) {
  const auto cut =
      likeliest_.first({taken().logits, {}}, largest_of(taken()), n);
  if (!cut) return;
  n_ = select_kept({.x = logits_.data(), .ids = ids_.data()}, n_, *cut,
                   {logits_.data(), ids_.data()});
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
  if (sigma) {
    const double deviation =
        cpu::standard_deviation(logits.data(), logits.size(), largest);
    keep_from(at_least(largest_of(taken()) - options.top_n_sigma * deviation));
  }
  return {taken(), largest_of(taken())};
}

}  // namespace skua
