#include "kernels/cpu/vocabulary.h"

#include <gtest/gtest.h>

#include "tests/unit/kernels/numbers.h"
#include "tests/unit/kernels/vocabularies.h"

namespace skua {
namespace {

TEST(LargestOf, IsTheFirstOfTheLargestOnEveryInstructionSet) {
  test::on_every_target([] {
    for (const std::size_t n : test::kSizes) {
      for (unsigned seed = 0; seed < 40; ++seed) {
        auto x = test::normal_floats(n, 2, seed);
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
      auto x = test::normal_floats(n, 1, 1);
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
    for (const std::size_t n : test::kSizes) {
      for (const float divisor : {5.0f, 1.0f, 0.27f}) {
        auto x = test::normal_floats(n, 12, static_cast<unsigned>(n));
        const float max = *std::ranges::max_element(x);
        if (n > 7) x[5] = -INFINITY;
        if (n > 7) x[6] = -3e38f;
        std::vector<float> y(n);
        std::vector<double> sums(n / cpu::kVocabularyBlock + 1, -1);
        const double sum = cpu::softmax_weights(x.data(), n, max, divisor,
                                                y.data(), sums.data());
        std::vector<double> want_sums(sums.size());
        for (std::size_t i = 0; i < n; ++i) {
          const double d = (double{x[i]} - max) / divisor;
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
            cpu::softmax_weights(x.data(), n, max, divisor, nullptr, nullptr),
            sum);
        cpu::softmax_weights(x.data(), n, max, divisor, x.data(), nullptr);
        EXPECT_EQ(x, y);
      }
    }
  });
}

// GEN-28
TEST(LogSoftmax, IsWithinItsBoundOfFloat64OnEveryInstructionSet) {
  test::on_every_target([] {
    for (const std::size_t n : test::kSizes) {
      for (const float spread : {0.0f, 1e-3f, 1.0f, 5.0f, 100.0f, 1e30f}) {
        auto x = test::normal_floats(n, spread, static_cast<unsigned>(n));
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

}  // namespace
}  // namespace skua
