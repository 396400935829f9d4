#include <gtest/gtest.h>

#include <numeric>

#include "base/cpu_level.h"
#include "kernels/cpu/bf16_tiles-inl.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/linear.h"
#include "tests/unit/kernels/emulated_tiles.h"
#include "tests/unit/kernels/plain_bf16_decoder.h"
#include "tests/unit/kernels/tile_products.h"

namespace skua {
namespace {

using cpu::LinearInput;
using test::EmulatedTiles;
using test::make_matrix;
using test::MatrixKind;
using test::normal;
using test::numbers;
using test::product;
using test::rounded_matrix;
using test::size;

using EmulatedInput =
    cpu::Bf16TileInput<EmulatedTiles, test::PlainBf16Decoders>;

std::vector<MatrixKind> kinds_of_bf16() {
  std::vector<MatrixKind> kinds;
  for (const MatrixKind& kind : test::all_matrix_kinds()) {
    if (cpu::has_bf16_rows(view(make_matrix(kind, 2, 128, 1))))
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
  if (cpu::has_bf16_kernel(view(w)))
    inputs.push_back(cpu::bf16_input(view(w), x, n_tokens));
  return inputs;
}

void expect_within_bound(const WeightMatrix& w, const mx::array& x) {
  const auto xs = numbers(x), ws = numbers(dequantize(w));
  const auto n_cols = size(w.cols()), n_rows = size(w.rows());
  const auto n_tokens = size(x.shape(0));
  // Half of the bound: the errors of two factors hardly ever add up.
  const double part = 1.0 / 256 + static_cast<double>(n_cols) / (1 << 24);
  for (const auto& input : tile_inputs(w, xs.data(), n_tokens)) {
    const auto y = product(*input, w, n_tokens);
    for (std::size_t i = 0; i < y.size(); ++i) {
      double sum = 0, most = 1e-30;
      for (std::size_t c = 0; c < n_cols; ++c) {
        const double term =
            double{xs[i / n_rows * n_cols + c]} * ws[i % n_rows * n_cols + c];
        sum += term;
        most += std::abs(term);
      }
      ASSERT_NEAR(y[i], sum, part * most)
          << n_rows << " x " << n_cols << ", token " << i / n_rows << " of "
          << n_tokens;
    }
  }
}

class Bf16TilesOfAnyKind : public testing::Test {
 protected:
  void SetUp() override {
    if (cpu_level() == CpuLevel::kScalar)
      GTEST_SKIP() << "the scalar level has no rows for tiles";
  }
};

class Bf16Tiles : public Bf16TilesOfAnyKind,
                  public testing::WithParamInterface<MatrixKind> {
 protected:
  // Whole interleaved blocks, less than one, and both; more than one block of
  // columns and more than one panel.
  std::vector<int> widths() const {
    std::vector<int> all = {128, 192, 320, 1024 + 64, 2048 + 128};
    if (GetParam().group_size <= 32) all.push_back(96);
    if (GetParam().group_size == 128) all = {128, 384, 1024 + 128, 2048 + 128};
    return all;
  }
};

TEST_P(Bf16Tiles, StayWithinTheirBoundForEveryWidth) {
  for (const int k : widths())
    expect_within_bound(rounded_matrix(GetParam(), 33, k), normal({17, k}, 2));
}

TEST_P(Bf16Tiles, StayWithinTheirBoundForEveryT) {
  const WeightMatrix w = rounded_matrix(GetParam(), 70, 384);
  for (const int t : {1, 15, 16, 31, 32, 33, 48, 65, 70})
    expect_within_bound(w, normal({t, 384}, 3));
}

TEST_P(Bf16Tiles, StayWithinTheirBoundForEveryNumberOfRows) {
  for (const int n : {1, 7, 16, 65, 130})
    expect_within_bound(rounded_matrix(GetParam(), n, 256),
                        normal({18, 256}, 4));
}

TEST_P(Bf16Tiles, ARowHasTheSameBitsForEveryT) {
  const WeightMatrix w = rounded_matrix(GetParam(), 130, 1152);
  const mx::array x = normal({300, 1152}, 5);
  const auto all = tile_inputs(w, x.data<float>(), 300);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto want = product(*all[i], w, 300);
    for (const std::size_t n : {1, 9, 17, 33, 49, 64, 130, 288}) {
      const auto some = tile_inputs(w, x.data<float>(), n);
      const auto got = product(*some[i], w, n);
      ASSERT_TRUE(std::equal(got.begin(), got.end(), want.begin())) << n;
    }
  }
}

TEST_P(Bf16Tiles, MultiplyAnyRangeOfRowsAndTokens) {
  const WeightMatrix w = rounded_matrix(GetParam(), 130, 640);
  const mx::array x = normal({320, 640}, 15);
  for (const auto& input : tile_inputs(w, x.data<float>(), 320))
    test::expect_part_of_whole(*input, w, 320, {288, 317});
}

TEST_P(Bf16Tiles, GatedProductsHaveTheBitsOfTheirSteps) {
  // Of the next columns, two units are interleaved and the others are not.
  constexpr int kHidden = 640;
  const WeightMatrix gate = rounded_matrix(GetParam(), kHidden, 128);
  WeightMatrix up = make_matrix(GetParam(), kHidden, 128, 12);
  up.precision = Precision::kDefault;
  const WeightMatrix down = rounded_matrix(GetParam(), 70, kHidden);
  for (const int t : {9, 35, 300}) {
    const mx::array x = normal({t, 128}, 19);
    const auto steps = [&](const LinearInput& input, auto make_input) {
      const auto gates = product(input, gate, size(t));
      const auto ups = product(input, up, size(t));
      std::vector<float> hidden(gates.size());
      cpu::silu_gate(gates.data(), ups.data(), gates.size(), hidden.data());
      return product(*make_input(view(down), hidden.data(), size(t)), down,
                     size(t));
    };
    const EmulatedInput input(view(gate), x.data<float>(), size(t));
    EXPECT_EQ(product(*input.gated_input(view(gate), view(up), cpu::silu_gate,
                                         view(down)),
                      down, size(t)),
              steps(input,
                    [](auto... of) {
                      return std::make_unique<EmulatedInput>(of...);
                    }))
        << t;
    if (!cpu::has_bf16_kernel(view(gate))) continue;
    EXPECT_EQ(
        product(*cpu::gated_bf16_input(view(gate), view(up), cpu::silu_gate,
                                       x.data<float>(), size(t), view(down)),
                down, size(t)),
        steps(*cpu::bf16_input(view(gate), x.data<float>(), size(t)),
              cpu::bf16_input))
        << t;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Bf16Tiles, testing::ValuesIn(kinds_of_bf16()),
                         [](const auto& info) { return info.param.name(); });

TEST_F(Bf16TilesOfAnyKind, KeepWhatIsNotFiniteInItsToken) {
  const WeightMatrix w = rounded_matrix({"affine", 4, 64}, 65, 192);
  const mx::array x = normal({18, 192}, 16);
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    auto xs = numbers(x);
    const auto clean = tile_inputs(w, xs.data(), 18);
    std::vector<std::vector<float>> want;
    for (const auto& input : clean) want.push_back(product(*input, w, 18));
    xs[17 * 192 + 100] = bad;
    const auto inputs = tile_inputs(w, xs.data(), 18);
    for (std::size_t n = 0; n < inputs.size(); ++n) {
      const auto y = product(*inputs[n], w, 18);
      for (std::size_t i = 0; i < y.size(); ++i) {
        if (i < 17 * 65)
          ASSERT_EQ(y[i], want[n][i]) << i;
        else
          ASSERT_FALSE(std::isfinite(y[i])) << i;
      }
    }
  }
}

TEST_F(Bf16TilesOfAnyKind, AreReleasedAfterEachProduct) {
  const WeightMatrix w = rounded_matrix({"affine", 4, 32}, 7, 96);
  const mx::array x = normal({5, 96}, 17);
  const EmulatedInput input(view(w), x.data<float>(), 5);
  product(input, w, 5);
  EXPECT_TRUE(EmulatedTiles::released());
}

TEST_F(Bf16TilesOfAnyKind, ServeMatricesOfTheSameOrderThatMayBeRounded) {
  const mx::array x = normal({16, 384}, 18);
  const WeightMatrix w = rounded_matrix({"affine", 4, 32}, 8, 384);
  const EmulatedInput input(view(w), x.data<float>(), 16);
  const auto serves = [&](const MatrixKind& kind, Precision precision) {
    WeightMatrix other = rounded_matrix(kind, 8, 384);
    other.precision = precision;
    return input.serves(view(other));
  };
  EXPECT_TRUE(serves({"affine", 4, 128}, Precision::kDefault));
  EXPECT_TRUE(serves({"mxfp4", 4, 32}, Precision::kFast));
  EXPECT_FALSE(serves({"affine", 4, 128}, Precision::kDeterministic));
  EXPECT_FALSE(serves({"affine", 4, 128}, Precision::kExact));
  EXPECT_FALSE(serves({"affine", 8, 64}, Precision::kDefault));
  EXPECT_FALSE(serves({"affine", 5, 64}, Precision::kDefault));
}

TEST(RoundBf16, RoundsToTheNearestEvenInBothOrders) {
  std::vector<float> x(320);
  std::iota(x.begin(), x.end(), 1.0f);
  x[5] = 257;  // between 256 and 258
  x[6] = 259;  // between 258 and 260
  x[7] = -257;
  std::vector<std::uint16_t> plain(x.size()), woven(x.size());
  cpu::round_bf16(x.data(), x.size(), false, plain.data());
  cpu::round_bf16(x.data(), x.size(), true, woven.data());
  const auto want = mx::view(
      mx::astype(mx::array(x.data(), {320}), mx::bfloat16), mx::uint16);
  mx::array whole = want;
  whole.eval();
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(plain[i], whole.data<std::uint16_t>()[i]) << x[i];
    const std::size_t at = i % 128;
    const std::size_t place = i < 256 ? i - at + at % 4 * 32 + at / 4 : i;
    EXPECT_EQ(woven[place], plain[i]) << i;
  }
}

}  // namespace
}  // namespace skua
