#include "nn/ggml_blocks.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <type_traits>

#include "base/thread_pool.h"
#include "nn/ggml_block_layouts.h"
#include "nn/huge_pages.h"
#include "skua/error.h"

namespace skua {
namespace {

static_assert(std::endian::native == std::endian::little,
              "packed words are written byte by byte");

// Enough work for a thread to be worth waking, in bytes of the file.
constexpr std::size_t kChunkBytes = 256 * 1024;

/** Calls visit(Block{}) with the layout of `type`; false if it has none. */
template <class Visitor>
bool visit_layout(GgmlType type, const Visitor& visit) {
  switch (type) {
    case GgmlType::kQ4_0:
      visit(BlockQ4_0{});
      return true;
    case GgmlType::kQ4_1:
      visit(BlockQ4_1{});
      return true;
    case GgmlType::kQ5_0:
      visit(BlockQ5_0{});
      return true;
    case GgmlType::kQ5_1:
      visit(BlockQ5_1{});
      return true;
    case GgmlType::kQ8_0:
      visit(BlockQ8_0{});
      return true;
    case GgmlType::kQ2_K:
      visit(BlockQ2_K{});
      return true;
    case GgmlType::kQ3_K:
      visit(BlockQ3_K{});
      return true;
    case GgmlType::kQ4_K:
      visit(BlockQ4_K{});
      return true;
    case GgmlType::kQ5_K:
      visit(BlockQ5_K{});
      return true;
    case GgmlType::kQ6_K:
      visit(BlockQ6_K{});
      return true;
    default:
      return false;
  }
}

template <class Block>
void decode_blocks(const std::uint8_t* data, std::size_t n_blocks, float* out) {
  constexpr int kGroups = Block::kValues / Block::kGroup;
  std::array<std::uint8_t, Block::kValues> codes;
  std::array<float, kGroups> scales;
  std::array<float, kGroups> biases;
  for (std::size_t n = 0; n < n_blocks; ++n) {
    Block::unpack(data + n * Block::kBytes, codes.data(), scales.data(),
                  biases.data());
    const std::uint8_t* code = codes.data();
    for (int group = 0; group < kGroups; ++group) {
      for (int i = 0; i < Block::kGroup; ++i) {
        const auto q = static_cast<float>(*code++ - Block::kZero);
        if constexpr (Block::kZero != 0)
          *out++ = scales[group] * q;
        else
          *out++ = scales[group] * q + biases[group];
      }
    }
  }
}

void decode_plain(GgmlType type, std::span<const std::byte> data, float* out) {
  if (type == GgmlType::kF32) {
    if (!data.empty()) std::memcpy(out, data.data(), data.size());
    return;
  }
  for (std::size_t i = 0; i < data.size() / 2; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, data.data() + 2 * i, sizeof bits);
    out[i] = type == GgmlType::kF16
                 ? half_to_float(bits)
                 : std::bit_cast<float>(std::uint32_t{bits} << 16);
  }
}

/** The half that equals `value`, which is no normal half; none where there is
 *  no such half. */
std::optional<std::uint16_t> exact_small_half(float value) {
  const float steps = std::fabs(value) * 0x1p24f;  // of the subnormal halves
  if (!(steps < 1024) || steps != std::floor(steps)) return std::nullopt;
  const int sign = std::signbit(value) ? 0x8000 : 0;
  return static_cast<std::uint16_t>(sign | static_cast<int>(steps));
}

/** The half that equals `value`; none where there is no such half. */
inline std::optional<std::uint16_t> exact_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7fffffff;
  constexpr std::uint32_t kSmallest = (127 - 14) << 23;
  constexpr std::uint32_t kEnd = (127 + 16) << 23;
  const bool is_normal = magnitude - kSmallest < kEnd - kSmallest;
  if (!is_normal || (bits & 0x1fff) != 0) return exact_small_half(value);
  const std::uint32_t half = (magnitude >> 13) - (112 << 10);
  return static_cast<std::uint16_t>((bits >> 16 & 0x8000) | half);
}

// Joins eight bytes that hold codes of kBits, lowest byte first.
template <int kBits>
std::uint64_t join_codes(std::uint64_t x) {
  constexpr std::uint64_t kEven8 = 0x00ff00ff00ff00ff;
  constexpr std::uint64_t kEven16 = 0x0000ffff0000ffff;
  constexpr std::uint64_t kEven32 = 0x00000000ffffffff;
  x = (x & kEven8) | (x & ~kEven8) >> (8 - kBits);
  x = (x & kEven16) | (x & ~kEven16) >> (16 - 2 * kBits);
  return (x & kEven32) | (x & ~kEven32) >> (32 - 4 * kBits);
}

template <class Block>
void pack_codes(const std::uint8_t* codes, std::byte* out) {
  for (int i = 0; i < Block::kValues; i += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, codes + i, sizeof eight);
    eight = join_codes<Block::kBits>(eight);
    std::memcpy(out, &eight, Block::kBits);
    out += Block::kBits;
  }
}

enum class Outcome { kDone, kNeedsFloat, kNotFinite };

/** Stores `value` as a Scale; says why where that is not possible. */
template <class Scale>
Outcome store_scale(float value, Scale* to) {
  if (!std::isfinite(value)) return Outcome::kNotFinite;
  if constexpr (std::is_same_v<Scale, float>) {
    *to = value;
  } else {
    const auto half = exact_half(value);
    if (!half) return Outcome::kNeedsFloat;
    *to = *half;
  }
  return Outcome::kDone;
}

/** Repacks one row, up to the first scale that cannot be stored. */
template <class Block, class Scale>
Outcome repack_row(const std::uint8_t* data, std::size_t n_blocks,
                   std::byte* packed, Scale* scales, Scale* biases) {
  constexpr int kGroups = Block::kValues / Block::kGroup;
  std::array<std::uint8_t, Block::kValues> codes;
  std::array<float, kGroups> scale;
  std::array<float, kGroups> bias;
  for (std::size_t n = 0; n < n_blocks; ++n) {
    Block::unpack(data, codes.data(), scale.data(), bias.data());
    pack_codes<Block>(codes.data(), packed);
    for (int group = 0; group < kGroups; ++group) {
      if constexpr (Block::kZero != 0)
        bias[group] = -static_cast<float>(Block::kZero) * scale[group];
      Outcome outcome = store_scale(scale[group], scales++);
      if (outcome == Outcome::kDone)
        outcome = store_scale(bias[group], biases++);
      if (outcome != Outcome::kDone) return outcome;
    }
    data += Block::kBytes;
    packed += Block::kValues * Block::kBits / 8;
  }
  return Outcome::kDone;
}

template <class Block, class Scale>
Outcome repack_rows(std::span<const std::byte> data,
                    std::span<const std::int64_t> row_order,
                    AffineTensor& out) {
  const auto n_rows = static_cast<std::size_t>(out.rows);
  const auto n_cols = static_cast<std::size_t>(out.cols);
  const std::size_t n_blocks = n_cols / Block::kValues;
  const std::size_t n_groups = n_cols / Block::kGroup;
  const std::size_t row_bytes = n_blocks * Block::kBytes;
  const std::size_t packed_bytes = n_cols * Block::kBits / 8;
  const auto* from = reinterpret_cast<const std::uint8_t*>(data.data());
  out.format.f32_scales = std::is_same_v<Scale, float>;
  out.scales = AlignedBuffer(n_rows * n_groups * sizeof(Scale));
  out.biases = AlignedBuffer(n_rows * n_groups * sizeof(Scale));

  const std::size_t chunk_rows = std::max<std::size_t>(
      1, kChunkBytes / std::max<std::size_t>(1, row_bytes));
  std::atomic<Outcome> outcome{Outcome::kDone};
  parallel_for((n_rows + chunk_rows - 1) / chunk_rows, [&](std::size_t chunk) {
    const std::size_t end = std::min(n_rows, (chunk + 1) * chunk_rows);
    for (std::size_t row = chunk * chunk_rows; row < end; ++row) {
      const std::size_t source =
          row_order.empty() ? row : static_cast<std::size_t>(row_order[row]);
      const Outcome result =
          repack_row<Block>(from + source * row_bytes, n_blocks,
                            out.packed.data() + row * packed_bytes,
                            out.scales.as<Scale>() + row * n_groups,
                            out.biases.as<Scale>() + row * n_groups);
      if (result != Outcome::kDone) outcome = result;
      if (outcome != Outcome::kDone) return;
    }
  });
  return outcome;
}

[[noreturn]] void fail(const std::string& what) {
  throw InvalidInput("ggml_to_affine", what);
}

void check_sizes(const GgmlTypeInfo& info, std::size_t n_bytes,
                 std::int64_t rows, std::int64_t cols) {
  const auto block_size = static_cast<std::int64_t>(info.block_size);
  if (rows < 0 || cols < 0 || cols % block_size != 0)
    fail("shape, got [" + std::to_string(rows) + ", " + std::to_string(cols) +
         "], expected columns in blocks of " + std::to_string(block_size));
  const auto n_rows = static_cast<std::size_t>(rows);
  const std::size_t row_blocks = static_cast<std::size_t>(cols / block_size);
  const std::size_t n_blocks = n_bytes / info.block_bytes;
  const bool matches =
      n_bytes % info.block_bytes == 0 &&
      (row_blocks == 0 || n_rows == 0
           ? n_blocks == 0
           : n_blocks % row_blocks == 0 && n_blocks / row_blocks == n_rows);
  if (!matches)
    fail("data, got " + std::to_string(n_bytes) + " bytes, expected [" +
         std::to_string(rows) + ", " + std::to_string(cols) + "] values of " +
         std::string(info.name));
}

void check_row_order(std::span<const std::int64_t> row_order,
                     std::int64_t rows) {
  if (row_order.empty()) return;
  if (row_order.size() != static_cast<std::size_t>(rows))
    fail("row order, got " + std::to_string(row_order.size()) +
         " rows, expected " + std::to_string(rows));
  for (const std::int64_t row : row_order) {
    if (row < 0 || row >= rows)
      fail("row order, got row " + std::to_string(row) + ", expected 0 to " +
           std::to_string(rows - 1));
  }
}

}  // namespace

void ggml_decode(GgmlType type, std::span<const std::byte> data, float* out) {
  const GgmlTypeInfo info = ggml_type_info(type);
  if (data.size() % info.block_bytes != 0)
    throw InvalidInput("ggml_decode", "data, got " +
                                          std::to_string(data.size()) +
                                          " bytes, expected whole blocks of " +
                                          std::to_string(info.block_bytes));
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data.data());
  const bool has_layout = visit_layout(type, [&](auto block) {
    decode_blocks<decltype(block)>(bytes, data.size() / info.block_bytes, out);
  });
  if (!has_layout) decode_plain(type, data, out);
}

std::vector<float> ggml_decode(const GgufTensor& tensor) {
  std::size_t n = 1;
  for (const std::int64_t d : tensor.shape) n *= static_cast<std::size_t>(d);
  std::vector<float> values(n);
  ggml_decode(tensor.type, tensor.data, values.data());
  return values;
}

std::optional<AffineFormat> ggml_affine_format(GgmlType type) {
  std::optional<AffineFormat> format;
  visit_layout(type, [&](auto block) {
    using Block = decltype(block);
    format = AffineFormat{Block::kBits, Block::kGroup, Block::kValues == 256};
  });
  return format;
}

AffineTensor ggml_to_affine(GgmlType type, std::span<const std::byte> data,
                            std::int64_t rows, std::int64_t cols,
                            std::span<const std::int64_t> row_order) {
  const GgmlTypeInfo info = ggml_type_info(type);
  const auto format = ggml_affine_format(type);
  if (!format)
    throw Unsupported("ggml_to_affine",
                      std::string(info.name) + " has no affine layout");
  check_sizes(info, data.size(), rows, cols);
  check_row_order(row_order, rows);

  AffineTensor out{*format, rows, cols, {}, {}, {}};
  out.packed = AlignedBuffer(data.size() / info.block_bytes * info.block_size *
                             format->bits / 8);
  ask_for_huge_pages({out.packed.data(), out.packed.size()});
  Outcome outcome = Outcome::kDone;
  visit_layout(type, [&](auto block) {
    using Block = decltype(block);
    if constexpr (Block::kValues == 32)
      outcome = repack_rows<Block, std::uint16_t>(data, row_order, out);
    if (Block::kValues == 256 || outcome == Outcome::kNeedsFloat)
      outcome = repack_rows<Block, float>(data, row_order, out);
  });
  if (outcome == Outcome::kNotFinite)
    fail("a scale is infinite or not a number");
  return out;
}

}  // namespace skua
