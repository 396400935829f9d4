#include <gtest/gtest.h>

#include "base/cpu_level.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/linear_tiles-inl.h"
#include "tests/unit/kernels/emulated_tiles.h"
#include "tests/unit/kernels/tile_products.h"

namespace skua {
namespace {

using cpu::LinearInput;
using cpu::Range;
using test::EmulatedTiles;
using test::make_matrix;
using test::MatrixKind;
using test::normal;
using test::numbers;
using test::product;
using test::rounded_matrix;
using test::size;

using EmulatedInput = cpu::TileInput<EmulatedTiles>;

std::vector<MatrixKind> kinds_for_tiles() {
  std::vector<MatrixKind> kinds;
  for (const MatrixKind& kind : test::all_matrix_kinds()) {
    if (kind.mode == "mxfp4" || (kind.mode == "affine" && kind.group_size > 16))
      kinds.push_back(kind);
  }
  return kinds;
}

// The model of tiles and, where the CPU has them, the tiles.
std::vector<std::unique_ptr<LinearInput>> tile_inputs(const WeightMatrix& w,
                                                      const float* x,
                                                      std::size_t n_tokens) {
  std::vector<std::unique_ptr<LinearInput>> inputs;
  inputs.push_back(std::make_unique<EmulatedInput>(view(w), x, n_tokens));
  if (cpu::has_amx_kernel(view(w)))
    inputs.push_back(cpu::amx_input(view(w), x, n_tokens));
  return inputs;
}

class Tiles : public testing::Test {
 protected:
  void SetUp() override {
    if (cpu_level() == CpuLevel::kScalar)
      GTEST_SKIP() << "the scalar level rounds a product before it is added";
  }
};

class LinearOnTiles : public Tiles,
                      public testing::WithParamInterface<MatrixKind> {
 protected:
  void expect_bits_of_int16(const WeightMatrix& w, const mx::array& x,
                            const std::vector<std::size_t>& tokens) {
    const float* xs = x.data<float>();
    const auto n_all = size(x.shape(0));
    const auto want = product(*cpu::int16_input(view(w), xs, n_all), w, n_all);
    for (const std::size_t n : tokens) {
      for (const auto& input : tile_inputs(w, xs, n)) {
        const auto got = product(*input, w, n);
        ASSERT_TRUE(std::equal(got.begin(), got.end(), want.begin()))
            << w.rows() << " x " << w.cols() << ", T " << n;
      }
    }
  }
};

TEST_P(LinearOnTiles, HasTheBitsOfTheInt16KernelForEveryT) {
  const int k = test::widths(GetParam()).back();
  const mx::array x = normal({128, k}, 12);
  expect_bits_of_int16(rounded_matrix(GetParam(), 65, k), x,
                       {1, 2, 3, 8, 9, 15, 16, 17, 33, 70, 128});
}

TEST_P(LinearOnTiles, HasTheBitsOfTheInt16KernelForEverySize) {
  for (const int k : test::widths(GetParam())) {
    const mx::array x = normal({17, k}, 13);
    for (const int n : {1, 7, 65, 130})
      expect_bits_of_int16(rounded_matrix(GetParam(), n, k), x, {17});
  }
}

// More groups than partial sums, so that some are added to others.
TEST_P(LinearOnTiles, HasTheBitsOfTheInt16KernelForLongRows) {
  const int k = 19 * GetParam().group_size;
  expect_bits_of_int16(rounded_matrix(GetParam(), 33, k), normal({17, k}, 19),
                       {17});
}

// Of the float64 sum an error has at most, for each group of columns: a step
// of activations (their largest, divided by 65278) times the weights, and
// float32 rounding, in which the codes cancel against the bias.
void expect_exact_sum(const LinearInput& input, const WeightMatrix& w,
                      const mx::array& x) {
  const auto xs = numbers(x), ws = numbers(dequantize(w));
  const auto n_cols = size(w.cols()), n_rows = size(w.rows());
  const auto group = size(w.quantization.group_size);
  const auto y = product(input, w, size(x.shape(0)));
  for (std::size_t i = 0; i < y.size(); ++i) {
    double sum = 0, bound = 1e-7;
    for (std::size_t g = 0; g < n_cols; g += group) {
      double most = 0, weights = 0;
      for (std::size_t c = g; c < g + group; ++c) {
        const double weight = ws[i % n_rows * n_cols + c];
        const double value = xs[i / n_rows * n_cols + c];
        sum += value * weight;
        most = std::max(most, std::abs(value));
        weights += std::abs(weight);
      }
      bound += most * weights * (1.0 / 65278 + 3e-6);
    }
    ASSERT_NEAR(y[i], sum, bound) << "token " << i / n_rows;
  }
}

TEST_P(LinearOnTiles, EqualsTheExactSum) {
  const int k = test::widths(GetParam()).back();
  const WeightMatrix w = rounded_matrix(GetParam(), 65, k);
  const mx::array x = normal({9, k}, 14);
  for (const auto& input : tile_inputs(w, x.data<float>(), 9))
    expect_exact_sum(*input, w, x);
}

INSTANTIATE_TEST_SUITE_P(Kinds, LinearOnTiles,
                         testing::ValuesIn(kinds_for_tiles()),
                         [](const auto& info) { return info.param.name(); });

// Two groups of the code 255, which stands for 255 + bias.
WeightMatrix largest_codes(float bias) {
  const mx::array codes = mx::full({1, 64}, 0xffffffffu, mx::uint32);
  WeightMatrix w{codes,
                 mx::full({1, 2}, 1.0f),
                 mx::full({1, 2}, bias),
                 {"affine", 8, 128}};
  w.precision = Precision::kDefault;
  mx::eval(std::vector<mx::array>{w.weight, *w.scales, *w.biases});
  return w;
}

TEST_F(Tiles, TakeTheLargestCodesAndActivations) {
  const WeightMatrix w = largest_codes(0);
  for (const float sign : {1.0f, -1.0f}) {
    const std::vector<float> x(5 * 256, 3 * sign);
    for (const auto& input : tile_inputs(w, x.data(), 5)) {
      for (const float y : product(*input, w, 5))
        EXPECT_NEAR(y, sign * 3 * 255 * 256, 1e-6 * 3 * 255 * 256);
    }
  }
}

TEST_F(Tiles, CancelCodesAgainstTheBiasWhateverTheActivations) {
  const WeightMatrix w = largest_codes(-255);
  const mx::array x = normal({5, 256}, 20);
  for (const auto& input : tile_inputs(w, x.data<float>(), 5)) {
    for (const float y : product(*input, w, 5)) EXPECT_EQ(y, 0);
  }
}

TEST_F(Tiles, MultiplyAnyRangeOfRowsAndTokens) {
  const WeightMatrix w = rounded_matrix({"affine", 4, 64}, 130, 192);
  const mx::array x = normal({70, 192}, 15);
  for (const auto& input : tile_inputs(w, x.data<float>(), 70))
    test::expect_part_of_whole(*input, w, 70, {21, 67});
}

TEST_F(Tiles, KeepWhatIsNotFiniteInItsToken) {
  const WeightMatrix w = rounded_matrix({"affine", 4, 64}, 65, 192);
  const mx::array x = normal({18, 192}, 16);
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    auto xs = numbers(x);
    const auto clean = product(*tile_inputs(w, xs.data(), 18)[0], w, 18);
    xs[17 * 192 + 100] = bad;
    for (const auto& input : tile_inputs(w, xs.data(), 18)) {
      const auto y = product(*input, w, 18);
      for (std::size_t i = 0; i < y.size(); ++i) {
        if (i < 17 * 65)
          ASSERT_EQ(y[i], clean[i]) << i;
        else
          ASSERT_FALSE(std::isfinite(y[i])) << i;
      }
    }
  }
}

TEST_F(Tiles, AreReleasedAfterEachProduct) {
  const WeightMatrix w = rounded_matrix({"affine", 4, 32}, 7, 96);
  const mx::array x = normal({5, 96}, 17);
  const EmulatedInput input(view(w), x.data<float>(), 5);
  product(input, w, 5);
  EXPECT_TRUE(EmulatedTiles::released());
}

TEST_F(Tiles, ServeMatricesOfTheSameGroupsAndOrderOfColumns) {
  const mx::array x = normal({5, 384}, 18);
  const auto matrix = [](const MatrixKind& kind) {
    return rounded_matrix(kind, 8, 384);
  };
  const WeightMatrix w = matrix({"affine", 4, 32});
  const EmulatedInput input(view(w), x.data<float>(), 5);
  EXPECT_TRUE(input.serves(view(w)));
  EXPECT_FALSE(input.serves(view(matrix({"affine", 8, 32}))));
  EXPECT_FALSE(input.serves(view(matrix({"affine", 4, 64}))));
  EXPECT_FALSE(input.serves(view(matrix({"mxfp8", 8, 32}))));
  EXPECT_FALSE(input.serves(view(matrix({"dense"}))));
  WeightMatrix exact = w;
  exact.precision = Precision::kExact;
  EXPECT_FALSE(input.serves(view(exact)));

  const WeightMatrix floats = matrix({"mxfp4", 4, 32});
  EXPECT_FALSE(input.serves(view(floats)));
  const EmulatedInput in_order(view(floats), x.data<float>(), 5);
  EXPECT_TRUE(in_order.serves(view(matrix({"affine", 8, 32}))));
}

}  // namespace
}  // namespace skua
