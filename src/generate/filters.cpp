#include "generate/filters.h"

#include <algorithm>
#include <array>
#include <bit>
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

/** Where the weights of the tokens of least distance reach a target. */
struct Nearest {
  float distance = 0;
  double before = 0;  // the weight of those that are nearer
};

// The order of floats that are not negative is that of their bits: 11 at a
// time, from the highest, find the distance at which the target is reached.
Nearest nearest(std::span<const float> distances,
                std::span<const float> weights, double target) {
  constexpr int kBits = 11;
  std::array<double, 1 << kBits> sums;
  std::uint32_t known = 0;
  double before = 0;
  int below = 33;  // how many bits are not yet known
  while (below > 0) {
    below -= kBits;
    sums.fill(0);
    for (std::size_t i = 0; i < distances.size(); ++i) {
      const auto bits = std::bit_cast<std::uint32_t>(distances[i]);
      const std::uint64_t high = std::uint64_t{bits} >> below;
      if (high >> kBits == known) sums[high % sums.size()] += weights[i];
    }
    std::uint32_t digit = 0, last = 0;
    for (; digit < sums.size(); ++digit) {
      if (sums[digit] == 0) continue;
      last = digit;
      if (before + sums[digit] >= target) break;
      before += sums[digit];
    }
    // By rounding alone the target may lie beyond the last.
    if (digit == sums.size()) before -= sums[last];
    known = known << kBits | last;
  }
  return {std::bit_cast<float>(known), before};
}

}  // namespace

Entropy entropy_of(std::span<const float> logits, float largest,
                   std::vector<float>& weights) {
  const std::size_t n = logits.size();
  if (weights.size() < n) weights.resize(n);
  const double total = cpu::softmax_weights(logits.data(), n, largest, 1,
                                            weights.data(), nullptr);
  const double weighted = sum(n, [&](std::size_t i) {
    return weights[i] == 0 ? 0
                           : double{weights[i]} * (double{logits[i]} - largest);
  });
  const double log_total = std::log(total);
  return {log_total - weighted / total, log_total};
}

float Filters::largest() const {
  return cpu::largest_of(logits_.data(), logits_.size()).value;
}

void Filters::take(TokenSpan tokens) {
  const std::size_t n = tokens.logits.size();
  logits_.resize(n);
  ids_.resize(n);
  const std::size_t n_finite =
      cpu::select(tokens.logits.data(),
                  tokens.ids.empty() ? nullptr : tokens.ids.data(), 0, n,
                  {kLowest, kInfinity}, logits_.data(), ids_.data())
          .n;
  logits_.resize(n_finite);
  ids_.resize(n_finite);
}

// stays(i) is asked of each token in turn.
template <class Stays>
void Filters::keep(const Stays& stays) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < logits_.size(); ++i) {
    logits_[n] = logits_[i];
    ids_[n] = ids_[i];
    if (stays(i)) ++n;
  }
  logits_.resize(n);
  ids_.resize(n);
}

void Filters::leave_out_top_choices(double threshold, const Xtc& xtc) {
  const float most = largest();
  const double total = cpu::softmax_weights(logits_.data(), logits_.size(),
                                            most, 1, nullptr, nullptr);
  const double bound = most + std::log(threshold * total);
  float least = kInfinity;
  for (const float logit : logits_)
    if (logit > bound) least = std::min(least, logit);
  keep([&](std::size_t i) {
    return logits_[i] <= least ||
           std::ranges::binary_search(xtc.spares, ids_[i]);
  });
}

void Filters::keep_typical(double mass) {
  const float most = largest();
  const auto [nats, log_total] = entropy_of(logits_, most, weights_);
  const std::size_t n = logits_.size();
  distances_.resize(n);
  // A token's surprise is log_total + largest - logit.
  const double typical = most + log_total - nats;
  for (std::size_t i = 0; i < n; ++i)
    distances_[i] = static_cast<float>(std::abs(logits_[i] - typical));
  const std::span<const float> weights(weights_.data(), n);
  const double target = mass * std::exp(log_total);
  auto [last, weight] = nearest(distances_, weights, target);
  keep([&](std::size_t i) {
    if (distances_[i] != last) return distances_[i] < last;
    const bool stays = weight < target;
    weight += weights[i];
    return stays;
  });
}

void Filters::keep_near_largest(double distance) {
  const double least = largest() - distance;
  keep([&](std::size_t i) { return logits_[i] >= least; });
}

TokenSpan Filters::likeliest(std::span<const float> logits, float largest,
                             int n) {
  if (const auto cut = likeliest_.first({logits, {}}, largest, n))
    return likeliest_.kept(logits, *cut);
  take({logits, {}});
  return {logits_, ids_};
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
    if (options.top_k > 0) {
      const auto cut =
          likeliest_.first({logits_, ids_}, this->largest(), options.top_k);
      if (cut)
        keep([&](std::size_t i) { return cut->keeps(logits_[i], ids_[i]); });
    }
  }
  if (typical) keep_typical(options.typical_p);
  if (sigma)
    keep_near_largest(options.top_n_sigma * standard_deviation(logits));
  return {{logits_, ids_}, this->largest()};
}

}  // namespace skua
