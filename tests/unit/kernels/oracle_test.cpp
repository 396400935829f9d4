// Functions of kernels/ inside an OracleScope.
#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <cmath>
#include <functional>
#include <thread>

#include "kernels/attention.h"
#include "kernels/blocks.h"
#include "kernels/experts.h"
#include "kernels/linear.h"
#include "kernels/oracle_attention.h"
#include "kernels/primitive.h"
#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::normal;
using test::numbers;
using test::worst;

bool has_kernels(const mx::array& a) {
  if (!a.has_primitive()) return false;
  if (dynamic_cast<const CpuKernel*>(&a.primitive()) != nullptr) return true;
  return std::ranges::any_of(a.inputs(), has_kernels);
}

// A matrix in 4 bits, of zero mean.
WeightMatrix affine(int rows, int cols, std::uint64_t seed) {
  const Quantization q{"affine", 4, 32};
  const auto parts =
      mx::quantize(normal({rows, cols}, seed), q.group_size, q.bits);
  WeightMatrix w{parts[0], parts[1], parts[2], q};
  for (mx::array* a : {&w.weight, &*w.scales, &*w.biases}) a->eval();
  return w;
}

// COMP-05
TEST(OracleScopeTest, EveryFunctionIsMadeOfPlainOperations) {
  const auto x = normal({3, 64}, 1);
  const Norm norm{normal({64}, 2), 1e-5F};
  const WeightMatrix w = affine(64, 64, 3);
  const WeightMatrix dense{normal({64, 64}, 4), std::nullopt, std::nullopt, {}};
  const ExpertMatrices experts{affine(4 * 64, 64, 5), 4};
  const RotaryAngles angles{normal({3, 8}, 6), normal({3, 8}, 7)};
  const mx::array ids({1, 0, 63}, {3}, mx::int32);
  const mx::array routes({0, 3, 2, 1, 3, 0}, {3, 2}, mx::int32);
  const auto weights = normal({3, 2}, 8);
  const auto heads = mx::reshape(x, {3, 4, 16});
  const std::vector<std::pair<const char*, std::function<mx::array()>>> all = {
      {"linear", [&] { return linear(x, w); }},
      {"linear of heads", [&] { return linear(heads, w); }},
      {"linear dense",
       [&] { return linears(x, {{&dense, norm.weight, x}})[0]; }},
      {"gated_linear", [&] { return gated_linear(Gate::kSilu, x, w, dense); }},
      {"embedding", [&] { return embedding(ids, w, mx::float32); }},
      {"rms_norm", [&] { return rms_norm(x, norm.weight, norm.eps); }},
      {"rope", [&] { return rope(heads, angles); }},
      {"gated", [&] { return gated(Gate::kGeluTanh, x, x); }},
      {"project_heads",
       [&] {
         return project_heads(x, norm, {{&w, norm.weight, {}, true}}, 16,
                              angles)[0];
       }},
      {"gated_mlp",
       [&] { return gated_mlp(x, norm, {&w, &dense, &w, Gate::kSilu}, true); }},
      {"expert_linear", [&] { return expert_linear(x, experts, routes); }},
      {"expert_gated_mlp",
       [&] {
         return expert_gated_mlp(x, {&experts, &experts, &experts}, routes,
                                 weights);
       }},
  };
  for (const auto& [name, function] : all) {
    SCOPED_TRACE(name);
    const mx::array usual = function();
    EXPECT_TRUE(has_kernels(usual));
    const mx::array plain = [&] {
      const OracleScope scope;
      return function();
    }();
    EXPECT_FALSE(has_kernels(plain));
    const auto want = numbers(plain);
    double scale = 0;
    for (const float value : want)
      scale = std::max(scale, std::abs(double{value}));
    EXPECT_LE(worst(numbers(usual), want, scale), 1e-5);
  }
}

TEST(OracleScopeTest, ALargeMatrixIsDecodedInParts) {
  const WeightMatrix w = affine(70000, 64, 1);
  const auto x = normal({2, 64}, 2);
  const auto want = numbers(linear(x, w));
  const OracleScope scope;
  const mx::array plain = linear(x, w);
  EXPECT_EQ(plain.shape(), (mx::Shape{2, 70000}));
  EXPECT_LE(worst(numbers(plain), want), 1e-4);
}

TEST(OracleScopeTest, AKernelInsideIsRefused) {
  const auto make = [] {
    cpu_primitive("some_kernel", [](const std::vector<mx::array>&,
                                    std::vector<mx::array>&) { return [] {}; });
  };
  make();
  {
    const OracleScope scope;
    const OracleScope nested;
    SKUA_EXPECT_ERROR(make(), Error, "some_kernel");
    std::jthread([&] { EXPECT_FALSE(OracleScope::is_active()); });
  }
  make();
}

class OracleAttention : public testing::Test {
 protected:
  static constexpr int kRows = 300, kHeads = 6, kKvHeads = 2;
  mx::array q = normal({kRows, kHeads, 16}, 1);
  mx::array k = normal({kRows, kKvHeads, 16}, 2);
  mx::array v = normal({kRows, kKvHeads, 24}, 3);
  std::vector<AttentionSegment> segments = {{0, 270, 0}, {270, 30, 0}};

  std::vector<float> kernel(const AttentionOptions& options) const {
    const KvCache one(KvType::kF32, kKvHeads, 16, 24);
    const KvCache two(KvType::kF32, kKvHeads, 16, 24);
    return numbers(append_and_attend(q, k, v, segments, {one, two}, options));
  }
  std::vector<float> oracle(const AttentionOptions& options) const {
    return numbers(oracle_attention(q, k, v, segments, options));
  }
};

// COMP-06
TEST_F(OracleAttention, TheKernelAgreesUnderEveryOption) {
  AttentionOptions plain{.scale = 0.25F};
  std::vector<AttentionOptions> all(9, plain);
  all[1].window = 7;
  all[8].window = 7;
  all[8].keep = 3;
  all[2].causal = false;
  all[3].soft_cap = 3;
  all[4].slopes = normal({kHeads}, 4, 0.1F);
  all[5].mask = normal({kRows, kRows}, 5);
  all[6].sinks = normal({kHeads}, 6);
  all[8].window = 7;
  all[8].keep = 3;
  all[7] = {.scale = 0.5F,
            .window = 100,
            .soft_cap = 2,
            .slopes = all[4].slopes,
            .mask = all[5].mask,
            .sinks = all[6].sinks};
  std::vector<std::vector<float>> results;
  for (std::size_t i = 0; i < all.size(); ++i) {
    results.push_back(oracle(all[i]));
    EXPECT_LE(worst(kernel(all[i]), results.back()), 2e-5) << i;
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_GT(worst(results[j], results[i]), 1e-3) << i << " as " << j;
  }
}

// COMP-07
TEST_F(OracleAttention, ARowThatIsDroppedDoubledOrMovedIsSeen) {
  const AttentionOptions options{.scale = 0.25F};
  const auto want = oracle(options);
  const auto changed = [&](const std::vector<int>& from) {
    const mx::array rows(from.begin(), {kRows}, mx::int32);
    const auto held_k = k, held_v = v;
    k = mx::take(k, rows, 0);
    v = mx::take(v, rows, 0);
    const double by = worst(kernel(options), want);
    k = held_k;
    v = held_v;
    return by;
  };
  std::vector<int> same(kRows);
  for (int i = 0; i < kRows; ++i) same[static_cast<std::size_t>(i)] = i;
  EXPECT_LE(changed(same), 2e-5);
  auto doubled = same, swapped = same, shifted = same;
  doubled[100] = 99;
  std::swap(swapped[269], swapped[270]);
  for (std::size_t i = 200; i < 269; ++i) ++shifted[i];
  EXPECT_GT(changed(doubled), 1e-3);
  EXPECT_GT(changed(swapped), 1e-3);
  EXPECT_GT(changed(shifted), 1e-3);
}

TEST_F(OracleAttention, ASequenceThatGoesOnIsRefused) {
  segments[1].position = 1;
  SKUA_EXPECT_ERROR(oracle({}), InvalidInput, "position 1");
}

}  // namespace
}  // namespace skua
