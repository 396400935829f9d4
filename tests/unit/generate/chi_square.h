#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace skua::test {

/** The value that chi-square with n degrees of freedom passes once in 10^6.
 *  Source: Wilson and Hilferty's approximation. */
inline double rare_chi_square(double n) {
  const double root = 1 - 2 / (9 * n) + 4.7534 * std::sqrt(2 / (9 * n));
  return n * root * root * root;
}

/** What tokens of these logits weigh at a temperature. */
inline std::vector<double> weights_of(std::span<const float> logits,
                                      double temperature = 1) {
  std::vector<double> weights;
  for (const float l : logits) weights.push_back(std::exp(l / temperature));
  return weights;
}

/** Whether ids come as often as their weights say, by chi-square over those
 *  that are expected five times or more: right draws fail once in 10^6. One
 *  without weight may not come. */
inline testing::AssertionResult drawn_from(std::span<const double> weights,
                                           std::span<const std::int32_t> ids) {
  std::vector<int> counts(weights.size());
  double total = 0;
  for (const std::int32_t id : ids) ++counts.at(static_cast<std::size_t>(id));
  for (const double weight : weights) total += weight;
  double chi_square = 0, n_degrees = -1;
  for (std::size_t id = 0; id < weights.size(); ++id) {
    const double want = static_cast<double>(ids.size()) * weights[id] / total;
    if (want == 0 && counts[id] > 0) {
      return testing::AssertionFailure()
             << "id " << id << " has no weight and came " << counts[id]
             << " times";
    }
    if (want < 5) continue;
    ++n_degrees;
    chi_square += (counts[id] - want) * (counts[id] - want) / want;
  }
  if (n_degrees < 1)
    return testing::AssertionFailure() << "fewer than two ids are expected";
  const double most = rare_chi_square(n_degrees);
  if (chi_square < most) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "chi-square is " << chi_square << ", expected less than " << most;
}

}  // namespace skua::test
