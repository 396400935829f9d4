#include "generate/random.h"

#include <gtest/gtest.h>

#include <cmath>

namespace skua {
namespace {

// Vectors of the Random123 distribution, tests/kat_vectors.
TEST(Philox, KnownAnswers) {
  using Words = std::array<std::uint32_t, 4>;
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                       {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// GEN-24
TEST(Philox, UniformNumbersAreInsideTheIntervalAndUncorrelated) {
  constexpr int kDraws = 100000;
  double sum = 0, squares = 0, lagged = 0, last = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double u = philox_uniform(7, static_cast<std::uint64_t>(i));
    ASSERT_GT(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    squares += (u - 0.5) * (u - 0.5);
    if (i != 0) lagged += (u - 0.5) * (last - 0.5);
    last = u;
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 0.005);
  EXPECT_NEAR(squares / kDraws, 1.0 / 12, 0.001);
  EXPECT_LT(std::abs(lagged / squares), 0.01);
  EXPECT_NE(philox_uniform(7, 1), philox_uniform(8, 1));
  EXPECT_NE(philox_uniform(7, 1), philox_uniform(7, 1ull << 32));
  EXPECT_NE(philox_uniform(7, 1), philox_uniform(7 + (1ull << 32), 1));
}

// GEN-20, GEN-30: the numbers of one step for two purposes, or of two
// sequences, have nothing to do with each other.
TEST(Philox, PurposesAndSequencesAreIndependent) {
  constexpr int kDraws = 100000;
  const auto correlation = [](auto first, auto second) {
    double product = 0, squares = 0;
    for (std::uint64_t i = 0; i < kDraws; ++i) {
      product += (first(i) - 0.5) * (second(i) - 0.5);
      squares += (first(i) - 0.5) * (first(i) - 0.5);
    }
    return std::abs(product / squares);
  };
  const auto of = [](Purpose purpose, std::uint32_t sequence) {
    return [=](std::uint64_t i) {
      return philox_uniform(3, i, purpose, sequence);
    };
  };
  const auto draw = of(Purpose::kDraw, 0);
  for (const Purpose other : {Purpose::kXtc, Purpose::kAccept, Purpose::kDraft})
    EXPECT_LT(correlation(draw, of(other, 0)), 0.01);
  EXPECT_LT(correlation(draw, of(Purpose::kDraw, 1)), 0.01);
}

}  // namespace
}  // namespace skua
