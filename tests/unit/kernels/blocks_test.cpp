#include "kernels/blocks.h"

#include <gtest/gtest.h>

#include "kernels/linear.h"
#include "skua/error.h"
#include "tests/unit/kernels/matrices.h"

namespace skua {
namespace {

using test::make_matrix;
using test::normal;
using test::numbers;

class Blocks : public testing::TestWithParam<Precision> {
 protected:
  WeightMatrix matrix(int n, int k, std::uint64_t seed) const {
    WeightMatrix w = make_matrix({"affine", 4, 32}, n, k, seed);
    w.precision = GetParam();
    return w;
  }
  const Norm norm_{normal({96}, 1), 1e-5f};
  const RotaryAngles angles_{normal({5, 16}, 2), normal({5, 16}, 3)};
  const mx::array x_ = normal({5, 96}, 4);
};

// COMP-23: 4 heads of 40 from 96 numbers, 32 of each head rotated.
TEST_P(Blocks, ProjectHeadsHasTheBitsOfItsParts) {
  const WeightMatrix q = matrix(4 * 40, 96, 5);
  const WeightMatrix k = matrix(2 * 40, 96, 6);
  const WeightMatrix v = make_matrix({"dense"}, 2 * 40, 96, 7);
  const std::vector<HeadProjection> parts = {
      {&q, normal({160}, 8), Norm{normal({40}, 9), 1e-3f}, true},
      {&k, std::nullopt, std::nullopt, true},
      {&v, normal({80}, 10)}};
  const auto got = project_heads(x_, norm_, parts, 40, angles_);
  const auto want = project_heads_fallback(x_, norm_, parts, 40, angles_);
  ASSERT_EQ(got.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(got[i].shape(), (mx::Shape{5, i == 0 ? 4 : 2, 40}));
    EXPECT_EQ(numbers(got[i]), numbers(want[i])) << i;
  }
}

TEST_P(Blocks, GatedMlpHasTheBitsOfItsParts) {
  const WeightMatrix gate = matrix(160, 96, 5);
  const WeightMatrix up = matrix(160, 96, 6);
  const WeightMatrix down = matrix(96, 160, 7);
  for (const int n_tokens : {1, 5, 40}) {
    const mx::array x = normal({n_tokens, 96}, 11);
    for (const Gate activation : {Gate::kSilu, Gate::kGeluTanh}) {
      for (const bool add_input : {false, true}) {
        const GatedMlpWeights weights{&gate, &up, &down, activation};
        EXPECT_EQ(numbers(gated_mlp(x, norm_, weights, add_input)),
                  numbers(gated_mlp_fallback(x, norm_, weights, add_input)))
            << n_tokens;
      }
    }
  }
}

// The steps again by MLX's own operations.
TEST_P(Blocks, GatedMlpEqualsItsDefinition) {
  const WeightMatrix gate = matrix(160, 96, 5);
  const WeightMatrix up = matrix(160, 96, 6);
  const WeightMatrix down = matrix(96, 160, 7);
  const auto h = mx::fast::rms_norm(x_, norm_.weight, norm_.eps);
  const auto hidden = gated_fallback(Gate::kSilu, linear_fallback(h, gate),
                                     linear_fallback(h, up));
  const auto want = mx::add(x_, linear_fallback(hidden, down));
  const double size = mx::max(mx::abs(want)).item<float>();
  const auto got = gated_mlp(x_, norm_, {&gate, &up, &down}, true);
  EXPECT_LE(test::worst(numbers(got), numbers(want), size), 1e-4);
}

TEST_P(Blocks, NamesAShapeThatDoesNotFit) {
  const WeightMatrix w = matrix(80, 96, 5);
  SKUA_EXPECT_ERROR(project_heads(x_, norm_, {{&w}}, 32, angles_), InvalidInput,
                    "[project_heads] a matrix is [80, 96], expected [64, 96]");
  SKUA_EXPECT_ERROR(
      project_heads(x_, norm_, {{&w, normal({79}, 1)}}, 40, angles_),
      InvalidInput, "a bias or norm is [79], expected [80]");
  SKUA_EXPECT_ERROR(
      project_heads(x_, Norm{normal({95}, 1), 0}, {{&w}}, 40, angles_),
      InvalidInput, "the norm's weight [95]");
  SKUA_EXPECT_ERROR(gated_mlp(x_, norm_, {&w, &w, &w}, false), InvalidInput,
                    "[gated_mlp] a matrix is [80, 96], expected [96, 80]");
}

INSTANTIATE_TEST_SUITE_P(Precisions, Blocks,
                         testing::Values(Precision::kExact,
                                         Precision::kDeterministic));

}  // namespace
}  // namespace skua
