#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cpu/vocabulary.h"
#include "tests/unit/kernels/numbers.h"
#include "tests/unit/kernels/vocabularies.h"

namespace skua {
namespace {

using test::kSizes;
using test::normal_floats;

// What weighs e^x, as logits do.
std::vector<float> weights_of(const std::vector<float>& x, float max) {
  std::vector<float> weights(x.size());
  cpu::softmax_weights(x.data(), x.size(), max, 1, weights.data(), nullptr);
  return weights;
}

TEST(SumsAbove, EqualPlainSumsAndCountsOnEveryInstructionSet) {
  test::on_every_target([] {
    for (const std::size_t n : kSizes) {
      auto x = normal_floats(n, 2, 3);
      for (float& v : x) v = std::round(v * 4) / 4;
      auto weights = normal_floats(n, 1, 4);
      for (float& w : weights) w = std::abs(w);
      if (n > 7) x[2] = -INFINITY;
      const float bounds[cpu::kBounds] = {9, 3, 1.25f, 0.1f, 0, -1, -3, -1e30f};
      double sums[cpu::kBounds];
      std::size_t counts[cpu::kBounds];
      cpu::sums_above(x.data(), weights.data(), n, bounds, sums);
      cpu::counts_above(x.data(), n, bounds, counts);
      for (std::size_t b = 0; b < cpu::kBounds; ++b) {
        double sum = 0;
        std::size_t count = 0;
        for (std::size_t i = 0; i < n; ++i) {
          if (x[i] < bounds[b]) continue;
          sum += weights[i];
          ++count;
        }
        ASSERT_EQ(counts[b], count);
        ASSERT_NEAR(sums[b], sum, 2e-7 * sum);
      }
    }
  });
}

TEST(WeightedDistance, EqualsAPlainSumOnEveryInstructionSet) {
  test::on_every_target([] {
    for (const std::size_t n : kSizes) {
      for (const float spread : {0.0f, 1.0f, 30.0f}) {
        auto x = normal_floats(n, spread, static_cast<unsigned>(n));
        const float max = *std::ranges::max_element(x);
        if (n > 7) x[n - 1] = x[3] = -INFINITY;
        const auto weights = weights_of(x, max);
        double want = 0;
        for (std::size_t i = 0; i < n; ++i)
          if (weights[i] > 0) want += double{weights[i]} * (double{x[i]} - max);
        ASSERT_NEAR(cpu::weighted_distance(x.data(), weights.data(), n, max),
                    want, 3e-7 * std::abs(want));
      }
    }
  });
}

// Where all is far from 0 and near to each other too, and with one far away.
TEST(StandardDeviation, IsThatOfWhatIsFiniteOnEveryInstructionSet) {
  test::on_every_target([] {
    for (const std::size_t n : kSizes) {
      for (const float offset : {0.0f, -3.0f, 1e4f, -1e6f}) {
        for (const bool outlier : {false, true}) {
          auto x = normal_floats(n, 1.5f, static_cast<unsigned>(n));
          for (float& v : x) v += offset;
          if (outlier) x[n / 2] += 1000;
          if (n > 7) x[n - 1] = x[3] = -INFINITY;
          double count = 0, sum = 0, squares = 0;
          for (const float v : x) {
            if (std::isinf(v)) continue;
            ++count;
            sum += v;
          }
          for (const float v : x)
            if (!std::isinf(v)) squares += std::pow(v - sum / count, 2);
          const double want = std::sqrt(squares / count);
          const float max = *std::ranges::max_element(x);
          ASSERT_NEAR(cpu::standard_deviation(x.data(), n, max), want,
                      1e-9 * (want + 1e-3))
              << n << ", " << offset << ", " << outlier;
        }
      }
    }
  });
}

}  // namespace
}  // namespace skua
