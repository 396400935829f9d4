#include "kernels/cpu/vocabulary.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

constexpr std::size_t kSizes[] = {1,  2,    7,    15,   16,   17,  33,
                                  64, 1000, 1023, 1024, 1025, 5003};

std::vector<float> normal_floats(std::size_t n, float spread, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> x(n);
  for (float& v : x) v = normal(engine);
  return x;
}

TEST(LargestOf, IsTheFirstOfTheLargestOnEveryInstructionSet) {
  test::on_every_target([] {
    for (const std::size_t n : kSizes) {
      for (unsigned seed = 0; seed < 40; ++seed) {
        auto x = normal_floats(n, 2, seed);
        if (seed % 2 == 0)
          for (float& v : x) v = std::round(v);
        if (seed % 5 == 0) x[seed % n] = -INFINITY;
        const auto want = std::ranges::max_element(x);
        const cpu::Largest got = cpu::largest_of(x.data(), n);
        ASSERT_EQ(got.usable, std::isfinite(*want));
        if (!got.usable) continue;
        ASSERT_EQ(got.value, *want);
        ASSERT_EQ(got.index, static_cast<std::size_t>(want - x.begin()));
      }
    }
  });
}

// GEN-26
TEST(LargestOf, SaysWhereverANumberIsNotUsable) {
  test::on_every_target([] {
    for (const std::size_t n : {1u, 7u, 33u, 1030u}) {
      auto x = normal_floats(n, 1, 1);
      for (std::size_t i = 0; i < n; ++i) {
        for (const float bad : {NAN, -NAN, INFINITY}) {
          const float good = std::exchange(x[i], bad);
          ASSERT_FALSE(cpu::largest_of(x.data(), n).usable) << n << ", " << i;
          x[i] = good;
        }
      }
      ASSERT_TRUE(cpu::largest_of(x.data(), n).usable);
      const std::vector<float> none(n, -INFINITY);
      EXPECT_FALSE(cpu::largest_of(none.data(), n).usable);
    }
  });
}

TEST(SoftmaxWeights, AreWithinTheirBoundOfFloat64OnEveryInstructionSet) {
  test::on_every_target([] {
    for (const std::size_t n : kSizes) {
      for (const float scale : {0.2f, 1.0f, 3.7f}) {
        auto x = normal_floats(n, 12, static_cast<unsigned>(n));
        const float max = *std::ranges::max_element(x);
        if (n > 7) x[5] = -INFINITY;
        if (n > 7) x[6] = -3e38f;
        std::vector<float> y(n);
        std::vector<double> sums(n / cpu::kVocabularyBlock + 1, -1);
        const double sum = cpu::softmax_weights(x.data(), n, max, scale,
                                                y.data(), sums.data());
        std::vector<double> want_sums(sums.size());
        for (std::size_t i = 0; i < n; ++i) {
          const double d = (double{x[i]} - max) * scale;
          const double want = std::exp(d);
          if (d < -86.7) {
            ASSERT_EQ(y[i], 0);
          } else if (d > -86.5) {
            ASSERT_NEAR(y[i], want, want * (2.5e-7 + 1.8e-7 * std::abs(d)));
          }
          want_sums[i / cpu::kVocabularyBlock] += y[i];
        }
        double want_sum = 0;
        const std::size_t n_blocks =
            (n + cpu::kVocabularyBlock - 1) / cpu::kVocabularyBlock;
        for (std::size_t b = 0; b < n_blocks; ++b) {
          ASSERT_NEAR(sums[b], want_sums[b], 1e-14 * want_sums[b]);
          want_sum += want_sums[b];
        }
        ASSERT_NEAR(sum, want_sum, 1e-14 * want_sum);
        EXPECT_EQ(
            cpu::softmax_weights(x.data(), n, max, scale, nullptr, nullptr),
            sum);
        cpu::softmax_weights(x.data(), n, max, scale, x.data(), nullptr);
        EXPECT_EQ(x, y);
      }
    }
  });
}

// GEN-28
TEST(LogSoftmax, IsWithinItsBoundOfFloat64OnEveryInstructionSet) {
  test::on_every_target([] {
    for (const std::size_t n : kSizes) {
      for (const float spread : {0.0f, 1e-3f, 1.0f, 5.0f, 100.0f, 1e30f}) {
        auto x = normal_floats(n, spread, static_cast<unsigned>(n));
        for (float& v : x) v += spread * 3;
        if (n > 7) x[3] = -INFINITY;
        const double max = *std::ranges::max_element(x);
        double sum = 0;
        for (const float v : x) sum += std::exp(v - max);
        std::vector<float> y(n);
        cpu::log_softmax(x.data(), n, y.data());
        for (std::size_t i = 0; i < n; ++i) {
          const double want = (x[i] - max) - std::log(sum);
          if (std::isinf(x[i])) {
            ASSERT_EQ(y[i], -INFINITY);
          } else {
            ASSERT_NEAR(y[i], want, 1e-6 + std::abs(want) * 0x1p-23);
          }
        }
      }
    }
  });
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
      double sums[cpu::kBounds], counts[cpu::kBounds];
      cpu::sums_above(x.data(), weights.data(), n, bounds, sums);
      cpu::sums_above(x.data(), nullptr, n, bounds, counts);
      for (std::size_t b = 0; b < cpu::kBounds; ++b) {
        double sum = 0, count = 0;
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

struct Selected {
  std::vector<float> numbers;
  std::vector<std::int32_t> ids;
};

// Ids begin with 7.
Selected plain_select(const std::vector<float>& x, cpu::LogitRange range) {
  Selected out;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] < range.least || x[i] >= range.below) continue;
    out.numbers.push_back(x[i]);
    out.ids.push_back(static_cast<std::int32_t>(i) + 7);
  }
  return out;
}

void expect_selected(const cpu::Kept& kept, Selected got,
                     const Selected& want) {
  ASSERT_EQ(kept.n, want.ids.size());
  got.numbers.resize(kept.n);
  got.ids.resize(kept.n);
  EXPECT_EQ(got.numbers, want.numbers);
  EXPECT_EQ(got.ids, want.ids);
  const auto [least, most] = std::ranges::minmax_element(want.numbers);
  EXPECT_EQ(kept.least, kept.n == 0 ? INFINITY : *least);
  EXPECT_EQ(kept.most, kept.n == 0 ? -INFINITY : *most);
}

TEST(Select, CopiesTheRangeInOrderAlsoInPlaceOnEveryInstructionSet) {
  test::on_every_target([] {
    for (const std::size_t n : kSizes) {
      for (const cpu::LogitRange range :
           {cpu::LogitRange{-1, 1}, cpu::LogitRange{0, INFINITY},
            cpu::LogitRange{9, 10}, cpu::LogitRange{-2, -2},
            cpu::LogitRange{-3e38f, INFINITY}}) {
        auto x = normal_floats(n, 1, 3);
        for (float& v : x) v = std::round(v * 4) / 4;
        if (n > 7) x[2] = -INFINITY;
        const Selected want = plain_select(x, range);
        Selected got{std::vector<float>(n), std::vector<std::int32_t>(n)};
        cpu::Kept kept = cpu::select(x.data(), nullptr, 7, n, range,
                                     got.numbers.data(), got.ids.data());
        expect_selected(kept, got, want);
        std::ranges::copy(x, got.numbers.begin());
        std::iota(got.ids.begin(), got.ids.end(), 7);
        kept = cpu::select(got.numbers.data(), got.ids.data(), 0, n, range,
                           got.numbers.data(), got.ids.data());
        expect_selected(kept, got, want);
      }
    }
  });
}

}  // namespace
}  // namespace skua
