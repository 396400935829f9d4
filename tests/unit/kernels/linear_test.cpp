#include "kernels/linear.h"

#include <gtest/gtest.h>

#include "kernels/cpu/linear.h"
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

TEST_P(EveryMatrixKind, LinearOnEveryInstructionSetEqualsTheExactSum) {
  const int k = test::widths(GetParam()).back();
  const WeightMatrix w = make_matrix(GetParam(), 65, k, 3);
  const mx::array x = normal({4, k}, 8);
  const auto xs = numbers(x);
  const auto ws = numbers(dequantize(w));
  test::on_every_target([&] {
    std::vector<float> y(4 * 65);
    cpu::linear(view(w), x.data<float>(), 4, y.data());
    for (std::size_t i = 0; i < y.size(); ++i) {
      double sum = 0, size = 0;
      for (int c = 0; c < k; ++c) {
        const double term = double{xs[i / 65 * static_cast<std::size_t>(k) +
                                      static_cast<std::size_t>(c)]} *
                            ws[i % 65 * static_cast<std::size_t>(k) +
                               static_cast<std::size_t>(c)];
        sum += term;
        size += std::abs(term);
      }
      ASSERT_NEAR(y[i], sum, 2e-6 * size + 1e-7);
    }
  });
}

TEST_P(EveryMatrixKind, ARowOfLinearHasTheSameBitsForEveryT) {
  const int k = test::widths(GetParam()).back();
  const WeightMatrix w = make_matrix(GetParam(), 130, k, 5);
  const mx::array x = normal({33, k}, 9);
  const auto all = numbers(linear(x, w));
  for (const int t : {1, 2, 3, 4, 7, 32}) {
    const auto some = numbers(linear(first_rows(x, t), w));
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin())) << t;
  }
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

TEST(Linear, ReadsStridedActivations) {
  const WeightMatrix w = make_matrix({"affine", 4, 32}, 7, 64, 1);
  const mx::array x = normal({64, 3}, 2);
  EXPECT_EQ(numbers(linear(mx::transpose(x), w)),
            numbers(linear(mx::contiguous(mx::transpose(x)), w)));
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
