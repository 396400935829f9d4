#include "nn/ggml_blocks.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "skua/error.h"
#include "tests/support.h"

namespace skua {
namespace {

namespace mx = mlx::core;

constexpr GgmlType kPlainTypes[] = {GgmlType::kF32, GgmlType::kF16,
                                    GgmlType::kBF16};
constexpr GgmlType kHalfTypes[] = {GgmlType::kQ4_0, GgmlType::kQ4_1,
                                   GgmlType::kQ5_0, GgmlType::kQ5_1,
                                   GgmlType::kQ8_0};
constexpr GgmlType kFloatTypes[] = {GgmlType::kQ2_K, GgmlType::kQ3_K,
                                    GgmlType::kQ4_K, GgmlType::kQ5_K,
                                    GgmlType::kQ6_K};

std::vector<GgmlType> block_types() {
  std::vector<GgmlType> types(std::begin(kHalfTypes), std::end(kHalfTypes));
  types.insert(types.end(), std::begin(kFloatTypes), std::end(kFloatTypes));
  return types;
}

std::vector<GgmlType> all_types() {
  std::vector<GgmlType> types = block_types();
  types.insert(types.end(), std::begin(kPlainTypes), std::end(kPlainTypes));
  return types;
}

/** Blocks and the values that the package `gguf` decodes them to. */
struct Fixture {
  GgmlTypeInfo info;
  std::vector<std::byte> blocks;
  std::vector<float> values;

  std::size_t n_blocks() const { return blocks.size() / info.block_bytes; }
  bool is_finite(std::size_t block) const {
    for (std::size_t i = 0; i < info.block_size; ++i)
      if (!std::isfinite(values[block * info.block_size + i])) return false;
    return true;
  }
  std::span<const std::byte> block(std::size_t i) const {
    return std::span(blocks).subspan(i * info.block_bytes, info.block_bytes);
  }
};

std::filesystem::path fixture_folder() {
  const char* set = std::getenv("SKUA_GGML_FIXTURES");
  return set ? set : "";
}

template <class T>
std::vector<T> read_all(const std::filesystem::path& path) {
  const std::string text = test::read_text(path);
  std::vector<T> values(text.size() / sizeof(T));
  std::memcpy(values.data(), text.data(), text.size());
  return values;
}

Fixture load_fixture(GgmlType type) {
  Fixture fixture;
  fixture.info = ggml_type_info(type);
  const std::string name(fixture.info.name);
  fixture.blocks = read_all<std::byte>(fixture_folder() / (name + ".blocks"));
  fixture.values = read_all<float>(fixture_folder() / (name + ".f32"));
  return fixture;
}

#define SKUA_FIXTURES_OR_SKIP()                    \
  if (fixture_folder().empty())                    \
  GTEST_SKIP() << "SKUA_GGML_FIXTURES is not set " \
                  "(tools/make_ggml_fixtures.py)"

/** Part of a fixture as a matrix: one block beside the next, two in a row. */
struct Matrix {
  std::vector<std::byte> blocks;
  std::vector<float> values;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
};

Matrix finite_matrix(const Fixture& fixture, std::size_t n_blocks) {
  Matrix matrix;
  for (std::size_t i = 0; i < n_blocks; ++i) {
    if (!fixture.is_finite(i)) continue;
    const auto block = fixture.block(i);
    matrix.blocks.insert(matrix.blocks.end(), block.begin(), block.end());
  }
  const std::size_t row_bytes = 2 * fixture.info.block_bytes;
  matrix.rows = static_cast<std::int64_t>(matrix.blocks.size() / row_bytes);
  matrix.cols = static_cast<std::int64_t>(2 * fixture.info.block_size);
  matrix.blocks.resize(static_cast<std::size_t>(matrix.rows) * row_bytes);
  matrix.values.resize(static_cast<std::size_t>(matrix.rows * matrix.cols));
  std::size_t n_values = 0;
  for (std::size_t i = 0; n_values < matrix.values.size(); ++i) {
    if (!fixture.is_finite(i)) continue;
    std::memcpy(matrix.values.data() + n_values,
                fixture.values.data() + i * fixture.info.block_size,
                fixture.info.block_size * sizeof(float));
    n_values += fixture.info.block_size;
  }
  return matrix;
}

// Slow readers that share nothing with the code under test.

float slow_half(std::uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  const double magnitude = exponent == 0
                               ? std::ldexp(fraction, -24)
                               : std::ldexp(1024 + fraction, exponent - 25);
  return static_cast<float>(half & 0x8000 ? -magnitude : magnitude);
}

float slow_scale(const AffineTensor& tensor, const AlignedBuffer& buffer,
                 std::size_t index) {
  return tensor.format.f32_scales
             ? buffer.as<float>()[index]
             : slow_half(buffer.as<std::uint16_t>()[index]);
}

std::uint32_t slow_code(const AffineTensor& tensor, std::int64_t row,
                        std::int64_t col) {
  const auto bits = static_cast<std::size_t>(tensor.format.bits);
  const std::size_t row_bits = static_cast<std::size_t>(tensor.cols) * bits;
  std::uint32_t code = 0;
  for (std::size_t b = 0; b < bits; ++b) {
    const std::size_t at = static_cast<std::size_t>(row) * row_bits +
                           static_cast<std::size_t>(col) * bits + b;
    code |= (tensor.packed.as<std::uint32_t>()[at / 32] >> at % 32 & 1) << b;
  }
  return code;
}

float slow_value(const AffineTensor& tensor, std::int64_t row,
                 std::int64_t col) {
  const auto group = static_cast<std::size_t>((row * tensor.cols + col) /
                                              tensor.format.group_size);
  const float scale = slow_scale(tensor, tensor.scales, group);
  const float bias = slow_scale(tensor, tensor.biases, group);
  const float product = scale * static_cast<float>(slow_code(tensor, row, col));
  return product + bias;
}

std::size_t count_differences(const AffineTensor& tensor,
                              const Matrix& matrix) {
  std::size_t n_different = 0;
  for (std::int64_t row = 0; row < matrix.rows; ++row)
    for (std::int64_t col = 0; col < matrix.cols; ++col)
      n_different +=
          slow_value(tensor, row, col) !=
          matrix.values[static_cast<std::size_t>(row * matrix.cols + col)];
  return n_different;
}

// COMP-26: of either sign, the largest, smallest and infinite scales included.
TEST(GgmlDecode, EqualsTheGgufPackageBitForBitInAll13Types) {
  SKUA_FIXTURES_OR_SKIP();
  for (const GgmlType type : all_types()) {
    const Fixture fixture = load_fixture(type);
    ASSERT_GT(fixture.n_blocks(), 100u);
    std::vector<float> out(fixture.values.size());
    ggml_decode(type, fixture.blocks, out.data());
    std::size_t n_different = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      const bool both_nan = std::isnan(out[i]) && std::isnan(fixture.values[i]);
      n_different += !both_nan && std::memcmp(&out[i], &fixture.values[i],
                                              sizeof(float)) != 0;
    }
    EXPECT_EQ(n_different, 0u) << fixture.info.name;
  }
}

TEST(GgmlDecode, RefusesPartOfABlock) {
  const std::vector<std::byte> data(19);
  float out[64];
  EXPECT_THROW(ggml_decode(GgmlType::kQ4_0, data, out), InvalidInput);
  EXPECT_THROW(ggml_decode(static_cast<GgmlType>(4), data, out), Unsupported);
}

// COMP-27
TEST(GgmlToAffine, HoldsEveryFiniteValueOfTheGgufPackageExactly) {
  SKUA_FIXTURES_OR_SKIP();
  for (const GgmlType type : block_types()) {
    const Fixture fixture = load_fixture(type);
    const Matrix matrix = finite_matrix(fixture, fixture.n_blocks());
    ASSERT_GT(matrix.rows, 100) << fixture.info.name;
    const AffineTensor tensor =
        ggml_to_affine(type, matrix.blocks, matrix.rows, matrix.cols);
    const auto format = ggml_affine_format(type);
    EXPECT_EQ(tensor.format.bits, format->bits);
    EXPECT_EQ(tensor.format.group_size, format->group_size);
    EXPECT_EQ(
        tensor.packed.size(),
        static_cast<std::size_t>(matrix.rows * matrix.cols * format->bits / 8));
    EXPECT_EQ(count_differences(tensor, matrix), 0u) << fixture.info.name;
  }
}

// COMP-27
TEST(GgmlToAffine, KeepsHalfScalesWhereEveryBiasIsAHalf) {
  SKUA_FIXTURES_OR_SKIP();
  for (const GgmlType type : kHalfTypes) {
    const Fixture fixture = load_fixture(type);
    const Matrix matrix = finite_matrix(fixture, 192);  // ordinary scales
    const AffineTensor tensor =
        ggml_to_affine(type, matrix.blocks, matrix.rows, matrix.cols);
    EXPECT_FALSE(tensor.format.f32_scales) << fixture.info.name;
    EXPECT_EQ(count_differences(tensor, matrix), 0u) << fixture.info.name;
  }
}

TEST(GgmlToAffine, TakesFloatScalesWhereABiasOverflowsAHalf) {
  struct Case {
    GgmlType type;
    std::uint16_t last_half;  // the largest scale whose bias is a half
  };
  // 8188, 4094 and 511.75: 8, 16 and 128 times them is 65504, the last half.
  for (const Case& c :
       {Case{GgmlType::kQ4_0, 0x6fff}, Case{GgmlType::kQ5_0, 0x6bff},
        Case{GgmlType::kQ8_0, 0x5fff}}) {
    const GgmlTypeInfo info = ggml_type_info(c.type);
    for (const int past : {0, 1}) {
      Matrix matrix;
      matrix.rows = 2;
      matrix.cols = 32;
      matrix.blocks.assign(2 * info.block_bytes, std::byte{0xa7});
      matrix.values.resize(64);
      const auto scale = static_cast<std::uint16_t>(c.last_half + past);
      const std::uint16_t subnormal = 1;
      std::memcpy(matrix.blocks.data(), &subnormal, 2);
      std::memcpy(matrix.blocks.data() + info.block_bytes, &scale, 2);
      ggml_decode(c.type, matrix.blocks, matrix.values.data());
      const AffineTensor tensor =
          ggml_to_affine(c.type, matrix.blocks, matrix.rows, matrix.cols);
      EXPECT_EQ(tensor.format.f32_scales, past == 1) << info.name;
      EXPECT_EQ(count_differences(tensor, matrix), 0u) << info.name;
    }
  }
}

TEST(GgmlToAffine, PacksAsMlxDequantizeReads) {
  SKUA_FIXTURES_OR_SKIP();
  for (const GgmlType type : block_types()) {
    if (ggml_affine_format(type)->group_size == 16) continue;
    const Fixture fixture = load_fixture(type);
    const Matrix matrix = finite_matrix(fixture, fixture.n_blocks());
    const AffineTensor tensor =
        ggml_to_affine(type, matrix.blocks, matrix.rows, matrix.cols);
    const AffineFormat& format = tensor.format;
    const auto rows = static_cast<int>(matrix.rows);
    const auto cols = static_cast<int>(matrix.cols);
    std::vector<float> scales, biases;
    for (int i = 0; i < rows * cols / format.group_size; ++i) {
      scales.push_back(
          slow_scale(tensor, tensor.scales, static_cast<std::size_t>(i)));
      biases.push_back(
          slow_scale(tensor, tensor.biases, static_cast<std::size_t>(i)));
    }
    const mx::Shape groups = {rows, cols / format.group_size};
    const mx::array values =
        mx::dequantize(mx::array(tensor.packed.as<std::uint32_t>(),
                                 {rows, cols * format.bits / 32}, mx::uint32),
                       mx::array(scales.data(), groups, mx::float32),
                       mx::array(biases.data(), groups, mx::float32),
                       format.group_size, format.bits);
    const mx::array expected(matrix.values.data(), {rows, cols}, mx::float32);
    EXPECT_TRUE(mx::array_equal(values, expected).item<bool>())
        << fixture.info.name;
  }
}

TEST(GgmlToAffine, RowOrderNamesTheSourceOfEachRow) {
  std::mt19937 random(7);
  for (const GgmlType type : block_types()) {
    const GgmlTypeInfo info = ggml_type_info(type);
    const std::int64_t rows = 300, cols = 256;
    const std::size_t row_bytes = 256 / info.block_size * info.block_bytes;
    std::vector<std::byte> data(300 * row_bytes);
    for (auto& byte : data) byte = static_cast<std::byte>(random() & 0x3f);
    std::vector<std::int64_t> order(300);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    std::vector<std::byte> moved;
    for (const std::int64_t row : order) {
      const auto* from =
          data.data() + static_cast<std::size_t>(row) * row_bytes;
      moved.insert(moved.end(), from, from + row_bytes);
    }
    const AffineTensor a = ggml_to_affine(type, data, rows, cols, order);
    const AffineTensor b = ggml_to_affine(type, moved, rows, cols);
    for (const auto part : {&AffineTensor::packed, &AffineTensor::scales,
                            &AffineTensor::biases}) {
      ASSERT_EQ((a.*part).size(), (b.*part).size());
      EXPECT_EQ(
          std::memcmp((a.*part).data(), (b.*part).data(), (a.*part).size()), 0)
          << info.name;
    }
  }
}

TEST(GgmlToAffine, RefusesScalesThatAreNotFinite) {
  SKUA_FIXTURES_OR_SKIP();
  for (const GgmlType type : block_types()) {
    const Fixture fixture = load_fixture(type);
    int n_refused = 0;
    for (std::size_t i = 0; i < fixture.n_blocks(); ++i) {
      if (fixture.is_finite(i)) continue;
      EXPECT_THROW(
          ggml_to_affine(type, fixture.block(i), 1,
                         static_cast<std::int64_t>(fixture.info.block_size)),
          InvalidInput)
          << fixture.info.name;
      ++n_refused;
    }
    EXPECT_EQ(n_refused, 3) << fixture.info.name;
  }
}

TEST(GgmlToAffine, RefusesSizesAndOrdersThatDoNotFit) {
  const std::vector<std::byte> data(4 * 18);
  const GgmlType type = GgmlType::kQ4_0;
  EXPECT_NO_THROW(ggml_to_affine(type, data, 2, 64));
  EXPECT_THROW(ggml_to_affine(type, data, 2, 32), InvalidInput);
  EXPECT_THROW(ggml_to_affine(type, data, 4, 48), InvalidInput);
  EXPECT_THROW(ggml_to_affine(type, data, -2, -64), InvalidInput);
  EXPECT_THROW(ggml_to_affine(type, data, 0, 64), InvalidInput);
  EXPECT_THROW(ggml_to_affine(type, data, std::int64_t{1} << 61, 64),
               InvalidInput);
  EXPECT_THROW(ggml_to_affine(type, std::span(data).first(71), 2, 64),
               InvalidInput);
  const std::vector<std::int64_t> outside = {0, 2}, short_order = {0},
                                  negative = {-1, 0};
  EXPECT_THROW(ggml_to_affine(type, data, 2, 64, outside), InvalidInput);
  EXPECT_THROW(ggml_to_affine(type, data, 2, 64, short_order), InvalidInput);
  EXPECT_THROW(ggml_to_affine(type, data, 2, 64, negative), InvalidInput);
  EXPECT_EQ(ggml_to_affine(type, {}, 0, 64).packed.size(), 0u);
  for (const GgmlType plain : kPlainTypes) {
    EXPECT_FALSE(ggml_affine_format(plain));
    EXPECT_THROW(ggml_to_affine(plain, data, 1, 1), Unsupported);
  }
}

}  // namespace
}  // namespace skua
