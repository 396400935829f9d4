#include "kernels/elementwise.h"

#include <gtest/gtest.h>

#include "kernels/cpu/elementwise.h"
#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::normal;
using test::numbers;
using test::worst;

TEST(RmsNorm, EqualsItsFallbackForOddWidthsAndScales) {
  for (const int d : {1, 3, 7, 8, 48, 65, 257}) {
    for (const float scale : {1e-6f, 1.0f, 1e6f}) {
      for (const float eps : {0.0f, 1e-6f, 0.5f}) {
        const mx::array x = normal({5, 2, d}, 3, scale);
        const mx::array w = normal({d}, 4);
        const auto want = numbers(rms_norm_fallback(x, w, eps));
        const mx::array got = rms_norm(x, w, eps);
        EXPECT_EQ(got.shape(), x.shape());
        EXPECT_LE(worst(numbers(got), want, 10), 1e-6)
            << d << ", " << scale << ", " << eps;
      }
    }
  }
}

TEST(RmsNorm, OnEveryInstructionSetEqualsTheFormulaInFloat64) {
  const std::size_t d = 77;
  const auto x = numbers(normal({3, 77}, 5));
  const auto w = numbers(normal({77}, 6));
  test::on_every_target([&] {
    std::vector<float> y(x.size());
    cpu::rms_norm(x.data(), w.data(), 3, d, 1e-3f, y.data());
    for (std::size_t r = 0; r < 3; ++r) {
      double squares = 0;
      for (std::size_t i = 0; i < d; ++i)
        squares += double{x[r * d + i]} * x[r * d + i];
      const double root = std::sqrt(squares / d + 1e-3f);
      for (std::size_t i = 0; i < d; ++i)
        ASSERT_NEAR(y[r * d + i], x[r * d + i] / root * w[i], 1e-6);
    }
  });
}

TEST(RmsNorm, ARowHasTheSameBitsForEveryT) {
  const mx::array x = normal({500, 77}, 5);
  const mx::array w = normal({77}, 6);
  const auto all = numbers(rms_norm(x, w, 1e-5f));
  for (const int t : {1, 3, 250}) {
    const auto some =
        numbers(rms_norm(mx::slice(x, {0, 0}, {t, 77}), w, 1e-5f));
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin()));
  }
}

TEST(RmsNorm, NamesAWeightOfAnotherShape) {
  SKUA_EXPECT_ERROR(rms_norm(mx::zeros({2, 8}), mx::zeros({7}), 1e-5f),
                    InvalidInput, "[rms_norm] weight is [7], expected [8]");
  SKUA_EXPECT_ERROR(rms_norm(mx::zeros({2, 8}), mx::zeros({1, 8}), 1e-5f),
                    InvalidInput, "[rms_norm]");
}

RotaryAngles angles(int t, int half, bool interleaved) {
  const mx::array a = normal({t, half}, 11, 3);
  return {mx::cos(a), mx::sin(a), interleaved};
}

class RopePairing : public testing::TestWithParam<bool> {};

TEST_P(RopePairing, EqualsItsFallback) {
  for (const int d : {2, 8, 12, 64}) {
    for (const int rotated : {2, d / 2 / 2 * 2, d}) {
      if (rotated == 0) continue;
      for (const int t : {1, 5, 300}) {
        const mx::array x = normal({t, 3, d}, 12);
        const RotaryAngles a = angles(t, rotated / 2, GetParam());
        const mx::array got = rope(x, a);
        EXPECT_EQ(got.shape(), x.shape());
        EXPECT_LE(worst(numbers(got), numbers(rope_fallback(x, a))), 2e-6)
            << "d " << d << ", rotated " << rotated << ", T " << t;
      }
    }
  }
}

// COMP-23
TEST_P(RopePairing, RotatesItsPairsAndCopiesTheRest) {
  const int d = 10, half = 3;
  const mx::array x = normal({2, 2, d}, 13);
  const RotaryAngles a = angles(2, half, GetParam());
  const auto in = numbers(x), cos = numbers(a.cos), sin = numbers(a.sin);
  const auto got = numbers(rope(x, a));
  for (int row = 0; row < 4; ++row) {
    const auto at = [&](const std::vector<float>& v, int i) {
      return double{v[static_cast<std::size_t>(row * d + i)]};
    };
    for (int i = 0; i < half; ++i) {
      const double c = cos[static_cast<std::size_t>(row / 2 * half + i)];
      const double s = sin[static_cast<std::size_t>(row / 2 * half + i)];
      const int first = GetParam() ? 2 * i : i;
      const int second = GetParam() ? 2 * i + 1 : i + half;
      EXPECT_NEAR(at(got, first), at(in, first) * c - at(in, second) * s, 1e-6);
      EXPECT_NEAR(at(got, second), at(in, first) * s + at(in, second) * c,
                  1e-6);
    }
    for (int i = 2 * half; i < d; ++i) EXPECT_EQ(at(got, i), at(in, i));
  }
}

INSTANTIATE_TEST_SUITE_P(Pairings, RopePairing, testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "Interleaved" : "HalfSplit";
                         });

TEST(Rope, NamesShapesAndTypesThatDoNotFit) {
  const mx::array x = mx::zeros({2, 3, 8});
  const auto bad = [&](const mx::Shape& cos, const mx::Shape& sin) {
    return rope(x, {mx::zeros(cos), mx::zeros(sin)});
  };
  SKUA_EXPECT_ERROR(bad({2, 5}, {2, 5}), InvalidInput, "[rope] x is [2, 3, 8]");
  SKUA_EXPECT_ERROR(bad({3, 4}, {3, 4}), InvalidInput, "[rope]");
  SKUA_EXPECT_ERROR(bad({2, 4}, {2, 3}), InvalidInput, "[rope]");
  SKUA_EXPECT_ERROR(bad({8}, {8}), InvalidInput, "[rope]");
  const mx::array half = mx::zeros({2, 4}, mx::float16);
  SKUA_EXPECT_ERROR(rope(x, {half, half}), InvalidInput, "[rope]");
}

double activation(Gate gate, double x) {
  if (gate == Gate::kSilu) return x / (1 + std::exp(-x));
  const double inner = 0.7978845608028654 * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(inner));
}

class GatedActivation : public testing::TestWithParam<Gate> {};

TEST_P(GatedActivation, EqualsItsFallback) {
  for (const int n : {1, 3, 7, 8, 17, 40000}) {
    const mx::array gate = normal({n}, 14, 4);
    const mx::array up = normal({n}, 15);
    const auto want = numbers(gated_fallback(GetParam(), gate, up));
    EXPECT_LE(worst(numbers(gated(GetParam(), gate, up)), want, 10), 1e-6) << n;
  }
}

TEST_P(GatedActivation, OnEveryInstructionSetEqualsTheFormulaInFloat64) {
  std::vector<float> gate;
  for (double x = 1e-6; x < 2e4; x *= 1.01) {
    gate.push_back(static_cast<float>(x));
    gate.push_back(static_cast<float>(-x));
  }
  for (const float x : {0.0f, 87.0f, 88.8f, 103.9f, 104.1f, 1e10f, 3e38f}) {
    gate.push_back(x);
    gate.push_back(-x);
  }
  const std::vector<float> up(gate.size(), 1.0f);
  test::on_every_target([&] {
    std::vector<float> y(gate.size());
    const auto run =
        GetParam() == Gate::kSilu ? cpu::silu_gate : cpu::gelu_tanh_gate;
    run(gate.data(), up.data(), gate.size(), y.data());
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double want = activation(GetParam(), gate[i]);
      ASSERT_NEAR(y[i], want, 2e-6 * std::max(1.0, std::abs(want)))
          << "x " << gate[i];
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Activations, GatedActivation,
                         testing::Values(Gate::kSilu, Gate::kGeluTanh),
                         [](const auto& info) {
                           return info.param == Gate::kSilu ? "Silu"
                                                            : "GeluTanh";
                         });

TEST(Gated, NamesShapesThatDiffer) {
  SKUA_EXPECT_ERROR(gated(Gate::kSilu, mx::zeros({2, 3}), mx::zeros({3, 2})),
                    InvalidInput, "[gated] gate is [2, 3], up is [3, 2]");
}

}  // namespace
}  // namespace skua
