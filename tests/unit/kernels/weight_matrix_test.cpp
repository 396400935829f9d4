#include "kernels/weight_matrix.h"

#include <gtest/gtest.h>

#include "skua/error.h"
#include "tests/unit/kernels/matrices.h"

namespace skua {
namespace {

using test::all_matrix_kinds;
using test::make_matrix;
using test::MatrixKind;
using test::numbers;

TEST(Dequantize, EqualsMlxForEveryLayoutThatMlxHas) {
  int n_compared = 0;
  for (const MatrixKind& kind : all_matrix_kinds()) {
    if (kind.mode == "dense" || kind.group_size == 16) continue;
    const WeightMatrix w = make_matrix(kind, 5, 3 * kind.group_size, 1);
    const auto as_f32 = [](const std::optional<mx::array>& a) {
      return a ? std::optional(mx::astype(*a, mx::float32)) : a;
    };
    const bool affine = kind.mode == "affine";
    const auto want = mx::dequantize(
        w.weight, affine ? *as_f32(w.scales) : *w.scales, as_f32(w.biases),
        kind.group_size, kind.bits, kind.mode, std::nullopt, mx::float32);
    EXPECT_LE(test::worst(numbers(dequantize(w)), numbers(want)), 1e-6)
        << kind.name();
    ++n_compared;
  }
  EXPECT_EQ(n_compared, 6 * 3 * 3 + 2);
}

// nvfp4's element and scale types by their definitions: E2M1 and E4M3.
TEST(Dequantize, DecodesNvfp4AsDefined) {
  const WeightMatrix w = make_matrix({"nvfp4", 4, 16}, 4, 48, 4);
  const float elements[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  const auto got = numbers(dequantize(w));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto word = w.weight.data<std::uint32_t>()[i / 8];
    const unsigned code = word >> 4 * (i % 8) & 15;
    const unsigned scale = w.scales->data<std::uint8_t>()[i / 16];
    const unsigned exponent = scale >> 3 & 15;
    const double e4m3 = exponent == 0
                            ? std::ldexp(scale & 7, -9)
                            : std::ldexp(8 + (scale & 7), int(exponent) - 10);
    const double sign = (code & 8) != 0 ? -1 : 1;
    EXPECT_EQ(got[i], static_cast<float>(sign * elements[code & 7] * e4m3));
  }
}

// The definition, field by field: MLX has no groups of 16 to compare with.
TEST(Dequantize, DecodesAffineGroupsOf16AsDefined) {
  for (const int bits : {2, 3, 4, 5, 6, 8}) {
    const int k = 96;
    const WeightMatrix w = make_matrix({"affine", bits, 16}, 3, k, 2);
    const auto got = numbers(dequantize(w));
    const auto* words = w.weight.data<std::uint32_t>();
    for (int row = 0; row < 3; ++row) {
      for (int col = 0; col < k; ++col) {
        unsigned code = 0;
        for (int b = 0; b < bits; ++b) {
          const int bit = col * bits + b;
          const auto word = words[row * (k * bits / 32) + bit / 32];
          code |= (word >> bit % 32 & 1) << b;
        }
        const int group = row * (k / 16) + col / 16;
        const float want =
            static_cast<float>(code) * w.scales->data<float>()[group] +
            w.biases->data<float>()[group];
        EXPECT_NEAR(got[static_cast<std::size_t>(row * k + col)], want, 1e-5);
      }
    }
  }
}

TEST(QuantizationCheck, AcceptsWhatIsListedAndNamesTheRest) {
  for (const MatrixKind& kind : all_matrix_kinds()) {
    if (kind.mode == "dense") continue;
    const Quantization q{kind.mode, kind.bits, kind.group_size};
    EXPECT_NO_THROW(q.check("here"));
  }
  const Quantization bad[] = {
      {"affine", 7, 64}, {"affine", 1, 64}, {"affine", 9, 64},
      {"affine", 4, 8},  {"affine", 4, 48}, {"mxfp4", 4, 64},
      {"mxfp8", 4, 32},  {"nvfp4", 4, 32},  {"awq", 4, 128}};
  for (const Quantization& q : bad)
    SKUA_EXPECT_ERROR(q.check("config.json"), Unsupported, "[config.json]");
}

TEST(WeightMatrixCheck, PassesWhatFits) {
  for (const MatrixKind& kind : all_matrix_kinds()) {
    const int k = kind.mode == "dense" ? 5 : 6 * kind.group_size;
    const WeightMatrix w = make_matrix(kind, 3, k, 3);
    EXPECT_NO_THROW(w.check("w", 3, k)) << kind.name();
    EXPECT_EQ(w.cols(), k) << kind.name();
    SKUA_EXPECT_ERROR(w.check("w", 4, k), InvalidInput, "[w.weight]");
    SKUA_EXPECT_ERROR(w.check("w", 3, k + 1), InvalidInput, "[w");
  }
}

TEST(WeightMatrixCheck, NamesThePartThatDoesNotFit) {
  const WeightMatrix good = make_matrix({"affine", 4, 32}, 2, 64, 3);
  WeightMatrix w = good;
  w.scales = mx::zeros({2, 3});
  SKUA_EXPECT_ERROR(w.check("w", 2, 64), InvalidInput, "[w.scales]");
  w = good;
  w.biases = mx::zeros({1, 2});
  SKUA_EXPECT_ERROR(w.check("w", 2, 64), InvalidInput, "[w.biases]");
  w.biases.reset();
  SKUA_EXPECT_ERROR(w.check("w", 2, 64), InvalidInput, "[w.biases] is missing");
  w = good;
  w.scales = mx::astype(*good.scales, mx::float16);
  SKUA_EXPECT_ERROR(w.check("w", 2, 64), InvalidInput, "dtypes");
  w = good;
  w.weight = mx::astype(good.weight, mx::int32);
  SKUA_EXPECT_ERROR(w.check("w", 2, 64), InvalidInput, "dtypes");
  w = make_matrix({"mxfp4", 4, 32}, 2, 64, 3);
  w.biases = mx::zeros({2, 2});
  SKUA_EXPECT_ERROR(w.check("w", 2, 64), InvalidInput, "[w.biases]");
  w = make_matrix({"dense"}, 2, 64, 3);
  w.weight = mx::astype(w.weight, mx::int32);
  SKUA_EXPECT_ERROR(w.check("w", 2, 64), InvalidInput, "[w.weight] dtype");
}

TEST(WeightMatrixCheck, RefusesRowsThatEndInsideAWord) {
  const mx::array groups = mx::zeros({2, 5});
  const WeightMatrix w{
      mx::zeros({2, 7}, mx::uint32), groups, groups, {"affine", 3, 16}};
  SKUA_EXPECT_ERROR(w.check("w", 2, 80), InvalidInput, "[w");
}

}  // namespace
}  // namespace skua
