#include "generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "generate/random.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

void expect(bool holds, const char* option, double value,
            const char* expected) {
  if (!holds) {
    std::string number = std::to_string(value);
    number.erase(number.find_last_not_of('0') + 1);
    if (number.ends_with('.')) number.pop_back();
    throw InvalidInput("options", std::string(option) + " is " + number +
                                      ", expected " + expected);
  }
}

std::vector<float> log_softmax(std::span<const float> logits) {
  const float max = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - max);
  const double norm = max + std::log(sum);
  std::vector<float> out;
  out.reserve(logits.size());
  for (const float logit : logits)
    out.push_back(static_cast<float>(logit - norm));
  return out;
}

// Token ids, likeliest first; of equals the lower id comes first.
std::vector<std::int32_t> by_likelihood(const std::vector<float>& log_p) {
  std::vector<std::int32_t> order(log_p.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](std::int32_t a, std::int32_t b) {
    const float pa = log_p[static_cast<std::size_t>(a)];
    const float pb = log_p[static_cast<std::size_t>(b)];
    return pa != pb ? pa > pb : a < b;
  });
  return order;
}

void keep_top_p(double top_p, std::vector<float>& log_p) {
  double sum = 0;
  for (const std::int32_t id : by_likelihood(log_p)) {
    float& value = log_p[static_cast<std::size_t>(id)];
    const double before = sum;
    sum += std::exp(double{value});
    if (before >= top_p) value = kNever;
  }
}

void keep_min_p(double min_p, std::vector<float>& log_p) {
  const double least = *std::ranges::max_element(log_p) + std::log(min_p);
  for (float& value : log_p)
    if (value < least) value = kNever;
}

void keep_top_k(int top_k, std::vector<float>& log_p) {
  if (static_cast<std::size_t>(top_k) >= log_p.size()) return;
  const std::vector<std::int32_t> order = by_likelihood(log_p);
  for (auto id = order.begin() + top_k; id != order.end(); ++id)
    log_p[static_cast<std::size_t>(*id)] = kNever;
}

}  // namespace

void check(const GenerationOptions& o) {
  expect(o.max_tokens >= 0, "max_tokens", o.max_tokens, "0 or more");
  expect(o.temperature >= 0 && std::isfinite(o.temperature), "temperature",
         o.temperature, "0 or more");
  expect(o.top_p >= 0 && o.top_p <= 1, "top_p", o.top_p, "0 to 1");
  expect(o.min_p >= 0 && o.min_p <= 1, "min_p", o.min_p, "0 to 1");
  expect(o.top_k >= 0, "top_k", o.top_k, "0 or more");
}

std::vector<float> filtered_log_probabilities(
    std::span<const float> logits, const GenerationOptions& options) {
  std::vector<float> log_p = log_softmax(logits);
  if (options.top_p > 0 && options.top_p < 1) keep_top_p(options.top_p, log_p);
  if (options.min_p > 0) keep_min_p(options.min_p, log_p);
  if (options.top_k > 0) keep_top_k(options.top_k, log_p);
  return log_p;
}

Sampler::Sampler(const GenerationOptions& options) : options_(options) {
  check(options_);
}

std::int32_t Sampler::sample(std::span<const float> logits,
                             std::uint64_t step) const {
  const auto best = std::ranges::max_element(logits);
  if (!std::isfinite(*best) ||
      std::ranges::any_of(logits, [](float l) { return std::isnan(l); }))
    throw Error(
        "sampler",
        "the model's logits are not finite; its weights may be damaged");
  if (options_.temperature == 0)
    return static_cast<std::int32_t>(best - logits.begin());

  const std::vector<float> log_p = filtered_log_probabilities(logits, options_);
  const float max = *std::ranges::max_element(log_p);
  std::vector<double> weights;
  weights.reserve(log_p.size());
  for (const float l : log_p)
    weights.push_back(std::exp((double{l} - max) / options_.temperature));
  const double total = std::reduce(weights.begin(), weights.end());
  double left = philox_uniform(options_.seed, step) * total;
  std::int32_t last = 0;
  for (std::size_t id = 0; id < weights.size(); ++id) {
    if (weights[id] == 0) continue;
    last = static_cast<std::int32_t>(id);
    left -= weights[id];
    if (left < 0) break;
  }
  return last;
}

}  // namespace skua
