#include "nn/rope.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <functional>
#include <numbers>

#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::numbers;

constexpr int kDims = 16;

RopeConfig config(Json scaling) {
  RopeConfig c;
  c.dims = kDims;
  c.base = 10000;
  c.max_positions = 128;
  c.scaling = std::move(scaling);
  return c;
}

// 1 / (base^(2i / dims)) with the divisor or factor that `scaled` applies.
using Scaled = std::function<double(int i, double frequency)>;

// Compares cos and sin at every position of two segments with float64.
void expect_angles(const RopeConfig& c, double magnitude, const Scaled& scaled,
                   std::vector<std::pair<int, int>> segments = {{0, 3},
                                                                {117, 5}}) {
  Batch batch;
  for (const auto& [position, n] : segments)
    batch.add(static_cast<int>(batch.segments.size()), position, n);
  const RotaryAngles got = Rope(c).angles(batch);
  const auto cos = numbers(got.cos), sin = numbers(got.sin);
  const int half = c.dims / 2;
  ASSERT_EQ(got.cos.shape(), (mx::Shape{batch.n_rows(), half}));
  std::size_t at = 0;
  for (const auto& [position, n] : segments) {
    for (int row = 0; row < n; ++row) {
      for (int i = 0; i < half; ++i, ++at) {
        const double f = scaled(i, 1 / std::pow(c.base, 2.0 * i / c.dims));
        const double angle = (position + row) * f;
        ASSERT_NEAR(cos[at], magnitude * std::cos(angle), 1e-7 * magnitude);
        ASSERT_NEAR(sin[at], magnitude * std::sin(angle), 1e-7 * magnitude);
      }
    }
  }
}

double same(int, double f) {
  return f;
}

// COMP-22
TEST(Rope, PlainFrequencies) {
  expect_angles(config(nullptr), 1, same);
  expect_angles(config({{"rope_type", "default"}}), 1, same);
  RopeConfig c = config(nullptr);
  c.base = 1e6;
  c.dims = 6;
  expect_angles(c, 1, same, {{100000, 2}});
}

// COMP-22
TEST(Rope, LinearDividesEveryFrequency) {
  const Scaled quarter = [](int, double f) { return f / 4; };
  expect_angles(config({{"type", "linear"}, {"factor", 4}}), 1, quarter);
  expect_angles(config({{"rope_type", "linear"}, {"factor", 4.0}}), 1, quarter);
}

// COMP-22; Llama 3.1's rule, after its reference implementation
TEST(Rope, Llama3ScalesLongWavesAndBlendsMiddleOnes) {
  const double factor = 8, low = 1, high = 4, original = 64;
  int n_kept = 0, n_scaled = 0, n_blended = 0;
  const Scaled scaled = [&](int, double f) {
    const double wave = 2 * std::numbers::pi / f;
    if (wave < original / high) return ++n_kept, f;
    if (wave > original / low) return ++n_scaled, f / factor;
    const double smooth = (original / wave - low) / (high - low);
    return ++n_blended, (1 - smooth) * f / factor + smooth * f;
  };
  expect_angles(config({{"rope_type", "llama3"},
                        {"factor", factor},
                        {"low_freq_factor", low},
                        {"high_freq_factor", high},
                        {"original_max_position_embeddings", original}}),
                1, scaled);
  EXPECT_GT(n_kept, 0);
  EXPECT_GT(n_scaled, 0);
  EXPECT_GT(n_blended, 0);
}

// COMP-22; frequencies interpolated as in arXiv 2309.00071, section 3.2
TEST(Rope, YarnRampsBetweenTheTurningDimensions) {
  const double factor = 4, original = 1024;
  const auto dim_of = [&](double turns) {
    return kDims * std::log(original / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(10000.0));
  };
  const double low = std::floor(dim_of(32)), high = std::ceil(dim_of(1));
  ASSERT_LT(low, high);
  const Scaled scaled = [&](int i, double f) {
    const double ramp = std::clamp((i - low) / (high - low), 0.0, 1.0);
    return f / factor * ramp + f * (1 - ramp);
  };
  const Json base = {{"rope_type", "yarn"},
                     {"factor", factor},
                     {"original_max_position_embeddings", original}};
  expect_angles(config(base), 0.1 * std::log(factor) + 1, scaled);
  Json both = base;
  both["mscale"] = 0.7;
  both["mscale_all_dim"] = 0.7;
  expect_angles(config(both), 1, scaled);
  both["mscale_all_dim"] = 0.2;
  expect_angles(config(both),
                (0.07 * std::log(factor) + 1) / (0.02 * std::log(factor) + 1),
                scaled);
  both["factor"] = 1;
  expect_angles(config(both), 1, same);
}

// COMP-22
TEST(Rope, LongropeDividesByItsLongFactors) {
  Json factors = Json::array();
  for (int i = 0; i < kDims / 2; ++i) factors.push_back(1.0 + 0.5 * i);
  const Scaled scaled = [](int i, double f) { return f / (1.0 + 0.5 * i); };
  expect_angles(config({{"rope_type", "longrope"},
                        {"long_factor", factors},
                        {"original_max_position_embeddings", 32}}),
                std::sqrt(1 + std::log(4.0) / std::log(32.0)), scaled);
  expect_angles(config({{"rope_type", "longrope"},
                        {"long_factor", factors},
                        {"original_max_position_embeddings", 128}}),
                1, scaled);
}

// COMP-22
TEST(Rope, DynamicRaisesTheBaseOncePastTheContext) {
  const double factor = 2, context = 128;
  const Json scaling = {{"type", "dynamic"}, {"factor", factor}};
  expect_angles(config(scaling), 1, same, {{0, 3}, {125, 3}});
  const int length = 200;
  const double base = 10000 * std::pow(factor * length / context - (factor - 1),
                                       kDims / (kDims - 2.0));
  const Scaled scaled = [&](int i, double) {
    return 1 / std::pow(base, 2.0 * i / kDims);
  };
  expect_angles(config(scaling), 1, scaled, {{length - 4, 4}});
}

// COMP-22
TEST(Rope, FactorsDivideTheFrequenciesOneByOne) {
  Json factors = Json::array();
  for (int i = 0; i < kDims / 2; ++i) factors.push_back(1 + i);
  expect_angles(config({{"rope_type", "factors"}, {"factors", factors}}), 1,
                [](int i, double f) { return f / (1 + i); });
}

TEST(Rope, CarriesThePairingToTheKernel) {
  RopeConfig c = config(nullptr);
  Batch batch;
  batch.add(0, 0, 1);
  EXPECT_FALSE(Rope(c).angles(batch).interleaved);
  c.interleaved = true;
  EXPECT_TRUE(Rope(c).angles(batch).interleaved);
}

TEST(Rope, NamesTheFieldThatIsMissingOrWrong) {
  const auto refused = [](const Json& scaling, const char* part) {
    SKUA_EXPECT_ERROR(Rope(config(scaling)), InvalidInput, part);
  };
  refused(Json::array(), "[rope_scaling] is no object");
  for (const char* type : {"linear", "llama3", "yarn", "dynamic"}) {
    refused({{"rope_type", type}}, "[rope_scaling] factor is missing");
    refused({{"rope_type", type}, {"factor", "2"}}, "factor");
    refused({{"rope_type", type}, {"factor", 0}}, "factor is 0");
    refused({{"rope_type", type}, {"factor", -1}}, "expected more than 0");
  }
  refused({{"rope_type", "longrope"}}, "long_factor");
  refused({{"rope_type", "longrope"}, {"long_factor", {1.0, 2.0}}},
          "long_factor is expected to be 8 positive numbers");
  refused({{"rope_type", "longrope"}, {"long_factor", 1.0}},
          "original_max_position_embeddings is missing");
  refused({{"rope_type", "factors"}, {"factors", Json::array({1})}}, "factors");
  refused({{"rope_type", "factors"},
           {"factors", Json::array({1, 1, 1, 1, 1, 1, 1, 0})}},
          "factors");
  SKUA_EXPECT_ERROR(Rope(config({{"rope_type", "ntk-by-parts"}})), Unsupported,
                    "type is ntk-by-parts");
  for (const int dims : {0, 1, 7, -2}) {
    RopeConfig c = config(nullptr);
    c.dims = dims;
    EXPECT_THROW(Rope{c}, InvalidInput) << dims;
  }
  for (const double base : {0.0, -1.0, double{NAN}}) {
    RopeConfig c = config(nullptr);
    c.base = base;
    EXPECT_THROW(Rope{c}, InvalidInput) << base;
  }
  RopeConfig c = config({{"type", "dynamic"}, {"factor", 2}});
  c.max_positions = 0;
  EXPECT_THROW(Rope{c}, InvalidInput);
}

}  // namespace
}  // namespace skua
