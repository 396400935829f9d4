#include "generate/distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "skua/error.h"

namespace skua {
namespace {

constexpr std::size_t kBlock = cpu::kVocabularyBlock;

/** Where the sum of numbers, none negative, passes `left`. */
template <class Number>
struct Place {
  std::size_t index = 0;
  double left = 0;  // before the number
};

// By rounding the sum may end before: the last number above 0 it is then.
template <class Number>
Place<Number> pass(std::span<const Number> numbers, double left) {
  Place<Number> place;
  for (std::size_t i = 0; i < numbers.size() && left >= 0; ++i) {
    if (numbers[i] == 0) continue;
    place = {i, left};
    left -= numbers[i];
  }
  return place;
}

}  // namespace

void Distribution::set(const Filtered& filtered, double temperature) {
  using Limits = std::numeric_limits<float>;
  const auto divisor = static_cast<float>(
      std::clamp<double>(temperature, Limits::min(), Limits::max()));
  const std::span<const float> logits = filtered.tokens.logits;
  ids_ = filtered.tokens.ids;
  n_ = logits.size();
  if (weights_.size() < n_) weights_.resize(n_);
  sums_.resize((n_ + kBlock - 1) / kBlock);
  total_ = cpu::softmax_weights(logits.data(), n_, filtered.largest, divisor,
                                weights_.data(), sums_.data());
}

void Distribution::cut_surprise(double bits) {
  // The likeliest token weighs 1.
  const double least = std::min(1.0, total_ * std::exp2(-bits));
  total_ = 0;
  for (std::size_t block = 0; block < sums_.size(); ++block) {
    const std::size_t end = std::min(n_, (block + 1) * kBlock);
    sums_[block] = 0;
    for (std::size_t i = block * kBlock; i < end; ++i) {
      if (weights_[i] < least) weights_[i] = 0;
      sums_[block] += weights_[i];
    }
    total_ += sums_[block];
  }
}

std::int32_t Distribution::draw(double uniform) const {
  const auto block = pass<double>(sums_, uniform * total_);
  const std::size_t begin = block.index * kBlock;
  const std::span<const float> weights(weights_.data() + begin,
                                       std::min(kBlock, n_ - begin));
  return id_at(begin + pass(weights, block.left).index);
}

double Distribution::probability(std::int32_t id) const {
  auto i = static_cast<std::size_t>(id);
  if (!ids_.empty()) {
    const auto found = std::ranges::lower_bound(ids_, id);
    if (found == ids_.end() || *found != id) return 0;
    i = static_cast<std::size_t>(found - ids_.begin());
  }
  return i < n_ ? weights_[i] / total_ : 0;
}

std::vector<double> Distribution::dense(std::size_t vocab_size) const {
  std::vector<double> probabilities(vocab_size);
  for (std::size_t i = 0; i < n_; ++i)
    probabilities[static_cast<std::size_t>(id_at(i))] = weights_[i] / total_;
  return probabilities;
}

std::int32_t draw_from(std::span<const double> probabilities, double uniform) {
  double total = 0;
  for (const double p : probabilities) total += p;
  if (!(total > 0)) throw InvalidInput("draw", "all probabilities are 0");
  return static_cast<std::int32_t>(pass(probabilities, uniform * total).index);
}

}  // namespace skua
