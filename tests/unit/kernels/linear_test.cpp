#include "kernels/linear.h"

#include <gtest/gtest.h>

#include "base/cpu_level.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/linear_input.h"
#include "kernels/experts.h"
#include "skua/error.h"
#include "tests/unit/kernels/matrices.h"

namespace skua {
namespace {

using test::make_matrix;
using test::MatrixKind;
using test::normal;
using test::numbers;

mx::array first_rows(const mx::array& x, int n) {
  return mx::slice(x, {0, 0}, {n, x.shape(1)});
}

class EveryMatrixKind : public testing::TestWithParam<MatrixKind> {
 protected:
  std::vector<WeightMatrix> matrices() const {
    std::vector<WeightMatrix> all;
    for (const int k : test::widths(GetParam())) {
      for (const int n : {1, 7, 65, 130}) {
        // MLX's dequantize cannot count such a matrix.
        if (GetParam().mode == "nvfp4" && n * k % 32 != 0) continue;
        all.push_back(make_matrix(GetParam(), n, k, 10 + n));
      }
    }
    return all;
  }
};

TEST_P(EveryMatrixKind, LinearEqualsItsFallback) {
  for (const WeightMatrix& w : matrices()) {
    for (const int t : {1, 2, 3, 4, 7, 33}) {
      const mx::array x = normal({t, w.cols()}, 7);
      const auto want = linear_fallback(x, w);
      const auto scale =
          mx::matmul(mx::abs(x), mx::transpose(mx::abs(dequantize(w))));
      const auto error = mx::divide(mx::abs(mx::subtract(linear(x, w), want)),
                                    mx::add(scale, mx::array(1e-6f)));
      EXPECT_EQ(want.shape(), (mx::Shape{t, w.rows()}));
      const float most = mx::max(error).item<float>();
      EXPECT_LE(most, 2e-6) << w.rows() << " x " << w.cols() << ", T " << t;
    }
  }
}

// Where a product may differ from the sum in float64: float32 rounding, and
// for rounded activations half a step of each group's fixed point.
double error_bound(const WeightMatrix& w, const float* x, const float* row) {
  const auto n = static_cast<std::size_t>(w.cols());
  const auto group = static_cast<std::size_t>(
      w.quantised() ? w.quantization.group_size : w.cols());
  double bound = 1e-7;
  for (std::size_t g = 0; g < n; g += group) {
    double most = 0, size = 0, weights = 0;
    for (std::size_t c = g; c < std::min(n, g + group); ++c) {
      most = std::max(most, std::abs(double{x[c]}));
      size += std::abs(double{x[c]} * row[c]);
      weights += std::abs(double{row[c]});
    }
    bound += 2e-6 * size;
    if (cpu::rounds_to_bf16(w.precision) && cpu::has_bf16_kernel(view(w))) {
      bound += size / 256;
      continue;
    }
    if (w.precision == Precision::kExact || !w.quantised()) continue;
    // Codes up to 255 times the scale cancel against the bias.
    const double steps = w.precision == Precision::kFast ? 254 : 65278;
    bound += most * (weights / steps + 1e-6 * weights);
  }
  return bound;
}

TEST_P(EveryMatrixKind, LinearOnEveryInstructionSetEqualsTheExactSum) {
  const int k = test::widths(GetParam()).back();
  const auto n_cols = static_cast<std::size_t>(k);
  WeightMatrix w = make_matrix(GetParam(), 65, k, 3);
  const mx::array x = normal({22, k}, 8);
  const auto xs = numbers(x);
  const auto ws = numbers(dequantize(w));
  for (const Precision precision :
       {Precision::kExact, Precision::kDeterministic, Precision::kDefault,
        Precision::kFast}) {
    w.precision = precision;
    test::on_every_target([&] {
      for (const std::size_t n_tokens : {3, 22}) {
        std::vector<float> y(n_tokens * 65);
        const cpu::LinearJob job{view(w), y.data()};
        cpu::linear({&job, 1}, x.data<float>(), n_tokens);
        for (std::size_t i = 0; i < y.size(); ++i) {
          const float* x_row = xs.data() + i / 65 * n_cols;
          const float* w_row = ws.data() + i % 65 * n_cols;
          double sum = 0;
          for (std::size_t c = 0; c < n_cols; ++c)
            sum += double{x_row[c]} * w_row[c];
          ASSERT_NEAR(y[i], sum, error_bound(w, x_row, w_row))
              << "token " << i / 65 << " of " << n_tokens;
        }
      }
    });
  }
}

TEST_P(EveryMatrixKind, ARowOfLinearHasTheSameBitsForEveryT) {
  const int k = test::widths(GetParam()).back();
  WeightMatrix w = make_matrix(GetParam(), 130, k, 5);
  const mx::array x = normal({147, k}, 9);
  for (const Precision precision :
       {Precision::kExact, Precision::kDeterministic}) {
    w.precision = precision;
    const auto all = numbers(linear(x, w));
    for (const int t : {1, 2, 3, 4, 7, 13, 19, 20, 70, 144, 146}) {
      const auto some = numbers(linear(first_rows(x, t), w));
      EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin())) << t;
    }
  }
}

TEST_P(EveryMatrixKind, ARowOfFastPromptsHasTheSameBitsForEveryT) {
  const int k = test::widths(GetParam()).back();
  WeightMatrix w = make_matrix(GetParam(), 130, k, 5);
  w.precision = Precision::kFast;
  const mx::array x = normal({147, k}, 9);
  const auto all = numbers(linear(x, w));
  for (const int t : {20, 21, 23, 70, 144, 146}) {
    const auto some = numbers(linear(first_rows(x, t), w));
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin())) << t;
  }
}

TEST(FastLinear, RoundsManyTokensToEightBitsInGroupsOf32) {
  if (cpu_level() == CpuLevel::kScalar)
    GTEST_SKIP() << "scalar code computes in float32";
  WeightMatrix w = make_matrix({"affine", 4, 64}, 65, 128, 3);
  if (cpu::has_bf16_kernel(view(w)))
    GTEST_SKIP() << "tiles of bfloat16 are faster and more exact";
  const mx::array x = normal({20, 128}, 4);
  const auto exact = numbers(linear(x, w));
  w.precision = Precision::kFast;
  auto xs = numbers(x);
  for (std::size_t g = 0; g < xs.size(); g += 32) {
    float most = 0;
    for (std::size_t i = g; i < g + 32; ++i)
      most = std::max(most, std::abs(xs[i]));
    for (std::size_t i = g; i < g + 32; ++i)
      xs[i] = std::nearbyint(xs[i] * (127 / most)) * (most / 127);
  }
  const auto fast = numbers(linear(x, w));
  w.precision = Precision::kExact;
  const auto want = numbers(linear(mx::array(xs.data(), {20, 128}), w));
  EXPECT_LE(test::worst(fast, want), 1e-5);
  EXPECT_GT(test::worst(fast, exact), 1e-3);
}

TEST_P(EveryMatrixKind, EmbeddingEqualsItsFallback) {
  for (const WeightMatrix& w : matrices()) {
    const int last = w.rows() - 1;
    const mx::array ids = mx::array({last, 0, last / 2, last, 0, 0}, mx::int32);
    const auto want = numbers(embedding_fallback(ids, w, mx::float32));
    EXPECT_LE(test::worst(numbers(embedding(ids, w, mx::float32)), want, 100),
              1e-7)
        << w.rows() << " x " << w.cols();
  }
}

TEST_P(EveryMatrixKind, EmbeddingOnEveryInstructionSetEqualsTheNumbers) {
  const int k = test::widths(GetParam()).back();
  const WeightMatrix w = make_matrix(GetParam(), 7, k, 6);
  const auto want = numbers(dequantize(w));
  const std::int32_t ids[] = {0, 1, 2, 3, 4, 5, 6};
  test::on_every_target([&] {
    std::vector<float> got(want.size());
    cpu::embedding(view(w), ids, 7, got.data());
    EXPECT_LE(test::worst(got, want, 100), 1e-7);
  });
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryMatrixKind,
                         testing::ValuesIn(test::all_matrix_kinds()),
                         [](const auto& info) { return info.param.name(); });

class RoundedLinear : public testing::TestWithParam<int> {
 protected:
  // Few tokens take other code than many.
  int n_tokens() const { return GetParam(); }
  WeightMatrix matrix(int n, int k, std::uint64_t seed) const {
    WeightMatrix w = make_matrix({"affine", 4, 64}, n, k, seed);
    w.precision = Precision::kDeterministic;
    return w;
  }
};

TEST_P(RoundedLinear, WhatIsNotFiniteStaysSoInItsTokenAlone) {
  const WeightMatrix w = matrix(65, 192, 1);
  const auto clean = numbers(linear(normal({n_tokens(), 192}, 2), w));
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    auto xs = numbers(normal({n_tokens(), 192}, 2));
    xs[100] = bad;
    const auto y = numbers(linear(mx::array(xs.data(), {n_tokens(), 192}), w));
    for (std::size_t i = 0; i < 65; ++i) EXPECT_FALSE(std::isfinite(y[i])) << i;
    for (std::size_t i = 65; i < y.size(); ++i) EXPECT_EQ(y[i], clean[i]) << i;
  }
}

// 18 groups: the kernels read whole sets of eight, past a row's end. 17 rows:
// the first ones are read in place.
TEST_P(RoundedLinear, WhatIsNotFiniteInARowStaysInItsProducts) {
  WeightMatrix w = matrix(17, 18 * 64, 1);
  const mx::array x = normal({n_tokens(), 18 * 64}, 2);
  const auto clean = numbers(linear(x, w));
  auto scales = numbers(*w.scales), biases = numbers(*w.biases);
  for (std::size_t g = 18; g < 36; ++g) scales[g] = biases[g] = NAN;
  w.scales = mx::array(scales.data(), {17, 18});
  w.biases = mx::array(biases.data(), {17, 18});
  const auto y = numbers(linear(x, w));
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (i % 17 == 1)
      EXPECT_TRUE(std::isnan(y[i])) << i;
    else
      EXPECT_EQ(y[i], clean[i]) << i;
  }
}

TEST_P(RoundedLinear, TakesNumbersOfAnySize) {
  const WeightMatrix w = matrix(65, 192, 1);
  const auto ws = numbers(dequantize(w));
  const auto unit = numbers(normal({n_tokens(), 192}, 2));
  for (const float size : {0.0f, 1e-42f, 1e-38f, 1e-30f, 1e30f}) {
    auto xs = unit;
    for (float& x : xs) x *= size;
    const auto y = numbers(linear(mx::array(xs.data(), {n_tokens(), 192}), w));
    for (std::size_t i = 0; i < y.size(); ++i) {
      double sum = 0, weights = 0;
      for (std::size_t c = 0; c < 192; ++c) {
        sum += double{xs[i / 65 * 192 + c]} * ws[i % 65 * 192 + c];
        weights += std::abs(ws[i % 65 * 192 + c]);
      }
      // What float32 cannot scale counts as 0.
      ASSERT_NEAR(y[i], sum, weights * (size * 1e-4 + 1e-33)) << size;
    }
  }
}

TEST_P(RoundedLinear, AddsBiasAndResidualToEachOfSeveralProducts) {
  const WeightMatrix a = matrix(65, 192, 1);
  WeightMatrix b = make_matrix({"affine", 6, 16}, 130, 192, 2);
  b.precision = Precision::kDeterministic;
  const WeightMatrix c = make_matrix({"dense"}, 7, 192, 3);
  const mx::array x = normal({n_tokens(), 192}, 4);
  const mx::array bias = normal({65}, 5);
  const mx::array residual = normal({n_tokens(), 130}, 6);
  const auto y = linears(x, {{&a, bias}, {&b, std::nullopt, residual}, {&c}});
  EXPECT_EQ(numbers(y[0]), numbers(mx::add(linear(x, a), bias)));
  EXPECT_EQ(numbers(y[1]), numbers(mx::add(linear(x, b), residual)));
  EXPECT_EQ(numbers(y[2]), numbers(linear(x, c)));
}

TEST_P(RoundedLinear, GatedEqualsItsParts) {
  const WeightMatrix gate = matrix(130, 192, 1);
  const WeightMatrix up = matrix(130, 192, 2);
  const mx::array x = normal({n_tokens(), 192}, 3);
  for (const Gate activation : {Gate::kSilu, Gate::kGeluTanh}) {
    const auto got = numbers(gated_linear(activation, x, gate, up));
    const auto want =
        numbers(gated(activation, linear(x, gate), linear(x, up)));
    EXPECT_LE(test::worst(got, want), 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Tokens, RoundedLinear, testing::Values(1, 3, 6, 37),
                         testing::PrintToStringParamName());

TEST(Linear, ReadsStridedActivations) {
  const WeightMatrix w = make_matrix({"affine", 4, 32}, 7, 64, 1);
  const mx::array x = normal({64, 3}, 2);
  EXPECT_EQ(numbers(linear(mx::transpose(x), w)),
            numbers(linear(mx::contiguous(mx::transpose(x)), w)));
}

TEST(Linear, ReadsWeightsWhereTheyHaveMoved) {
  WeightMatrix w = make_matrix({"dense"}, 12, 64, 1);
  const WeightMatrix other = make_matrix({"dense"}, 12, 64, 2);
  const auto bytes = [](const mx::array& a) {
    return reinterpret_cast<std::byte*>(const_cast<char*>(a.data<char>()));
  };
  const std::size_t n = w.weight.nbytes();
  const auto moving = std::make_shared<MovingBytes>(
      std::span<const std::byte>(bytes(w.weight), n),
      std::shared_ptr<std::byte>(bytes(other.weight), [](auto*) {}));
  w.moving = moving;
  const mx::array x = normal({3, 64}, 3);
  const mx::array ids = mx::array({5, 0, 11}, mx::int32);
  const auto read = [&](const WeightMatrix& m) {
    WeightMatrix stacked = m;
    stacked.weight = mx::reshape(m.weight, {3, 4, 64});
    stacked.weight.eval();
    const auto experts = expert_matrices("here", stacked, 3, 4, 64);
    return std::vector{
        numbers(linear(x, m)), numbers(embedding(ids, m, mx::float32)),
        numbers(expert_linear(x, experts,
                              mx::array({0, 1, 2}, {3, 1}, mx::int32)))};
  };
  WeightMatrix stays = w;
  stays.moving = nullptr;
  moving->moved(n - 1);
  EXPECT_EQ(read(w), read(stays));
  moving->moved(n);
  EXPECT_EQ(read(w), read(other));
}

TEST(Linear, HalfPrecisionActivationsTakeTheFallback) {
  const WeightMatrix w = make_matrix({"affine", 4, 32}, 7, 64, 1);
  const mx::array x = mx::astype(normal({3, 64}, 2), mx::bfloat16);
  const mx::array y = linear(x, w);
  EXPECT_EQ(y.dtype(), mx::bfloat16);
  const auto want = numbers(linear(mx::astype(x, mx::float32), w));
  EXPECT_LE(test::worst(numbers(y), want, 64), 0.01);
}

TEST(Linear, NamesAShapeThatDoesNotFit) {
  const WeightMatrix w = make_matrix({"affine", 4, 32}, 7, 64, 1);
  SKUA_EXPECT_ERROR(linear(mx::zeros({2, 63}), w), InvalidInput,
                    "[linear] x is [2, 63], expected [T, 64]");
  SKUA_EXPECT_ERROR(linear(mx::zeros({64}), w), InvalidInput, "[linear]");
  SKUA_EXPECT_ERROR(linears(mx::zeros({2, 64}), {{&w, mx::zeros({8})}}),
                    InvalidInput, "bias is [8], expected [7]");
  SKUA_EXPECT_ERROR(
      linears(mx::zeros({2, 64}), {{&w, std::nullopt, mx::zeros({1, 7})}}),
      InvalidInput, "residual is [1, 7], expected [2, 7]");
  const WeightMatrix other = make_matrix({"affine", 4, 32}, 8, 64, 1);
  SKUA_EXPECT_ERROR(gated_linear(Gate::kSilu, mx::zeros({2, 64}), w, other),
                    InvalidInput, "up has 8 rows, expected 7");
}

TEST(Embedding, NamesIdsOfAnotherShapeOrType) {
  const WeightMatrix w = make_matrix({"dense"}, 7, 8, 1);
  SKUA_EXPECT_ERROR(embedding(mx::zeros({2, 2}, mx::int32), w, mx::float32),
                    InvalidInput, "[embedding]");
  SKUA_EXPECT_ERROR(embedding(mx::zeros({2}, mx::int64), w, mx::float32),
                    InvalidInput, "[embedding]");
}

TEST(Embedding, AnIdOutsideTheTableThrowsAtEvaluationAndTheStreamGoesOn) {
  const WeightMatrix w = make_matrix({"dense"}, 7, 8, 1);
  for (const int bad : {-1, 7, 1 << 30}) {
    {
      mx::array x = embedding(mx::array({0, bad}, mx::int32), w, mx::float32);
      // MLX hands on the text of what a stream throws, not its type.
      SKUA_EXPECT_ERROR(x.eval(), std::runtime_error,
                        "[embedding] token id is " + std::to_string(bad));
    }
    const mx::array good =
        embedding(mx::array({6, 0}, mx::int32), w, mx::float32);
    EXPECT_EQ(numbers(good),
              numbers(mx::take(w.weight, mx::array({6, 0}, mx::int32), 0)));
  }
}

}  // namespace
}  // namespace skua
