#include "kernels/cpu/bf16_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/cpu_level.h"
#if defined(__x86_64__)
// GCC 12 warns of its own header's undefined vectors.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#define SKUA_BF16_TARGET \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#endif

namespace skua::cpu {
namespace {

constexpr std::size_t kInterleaved = 128;  // columns
constexpr std::size_t kSteps = kInterleaved / kBf16Step;

// The numbers of 4-bit codes; those of floats are 2 * value + 12, as
// scale_row() has it.
alignas(64) constexpr float kAffineCodes[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                8, 9, 10, 11, 12, 13, 14, 15};
alignas(64) constexpr float kFloatCodes[16] = {12, 13, 14, 15, 16, 18, 20, 24,
                                               12, 11, 10, 9,  8,  6,  4,  0};
const float* numbers_of_codes(const MatrixView& w) {
  return w.encoding == Encoding::kAffine ? kAffineCodes : kFloatCodes;
}

std::uint16_t bf16_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if (std::isnan(x)) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Where a column of an interleaved block lies.
constexpr std::size_t place_of(std::size_t column) {
  return column % kSteps * kBf16Step + column / kSteps;
}

// A 4-bit or 8-bit code of a row.
std::size_t code_at(const MatrixView& w, const std::uint8_t* values,
                    std::size_t column) {
  if (w.bits == 8) return values[column];
  return values[column / 2] >> column % 2 * 4 & 15;
}

float number_at(const MatrixView& w, const std::uint8_t* values,
                std::size_t column, const float* scales, const float* biases) {
  const std::size_t group = column / static_cast<std::size_t>(w.group_size);
  const std::size_t code = code_at(w, values, column);
  const float number =
      w.bits == 8 ? static_cast<float>(code) : numbers_of_codes(w)[code];
  return std::fma(number, scales[group], biases[group]);
}

// Columns in their own order, one by one.
void decode_in_order(const MatrixView& w, const std::uint8_t* values,
                     Range columns, const float* scales, const float* biases,
                     std::uint16_t* out, std::size_t stride) {
  for (std::size_t c = columns.begin; c < columns.end; ++c) {
    const std::size_t at = c - columns.begin;
    out[at / kBf16Step * stride + at % kBf16Step] =
        bf16_of(number_at(w, values, c, scales, biases));
  }
}

void decode_interleaved(const MatrixView& w, const std::uint8_t* values,
                        std::size_t first, const float* scales,
                        const float* biases, std::uint16_t* out,
                        std::size_t stride) {
  for (std::size_t c = 0; c < kInterleaved; ++c) {
    const std::size_t at = place_of(c);
    out[at / kBf16Step * stride + at % kBf16Step] =
        bf16_of(number_at(w, values, first + c, scales, biases));
  }
}

#if defined(__x86_64__)

// AVX-512 has one instruction that rounds two vectors.
SKUA_BF16_TARGET __m512i round_two(__m512 low, __m512 high) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

SKUA_BF16_TARGET __m512i round_step(const float* x) {
  return round_two(_mm512_loadu_ps(x), _mm512_loadu_ps(x + 16));
}

// Steps of an interleaved block: the words of each vector are sorted by their
// step, then the quarters of the four vectors change places.
SKUA_BF16_TARGET void round_interleaved(const float* x, std::uint16_t* out) {
  alignas(64) static constexpr auto kOrder = [] {
    struct Order {
      std::uint16_t at[32];
    } order{};
    for (std::uint16_t i = 0; i < 32; ++i)
      order.at[i] = static_cast<std::uint16_t>(i % 8 * 4 + i / 8);
    return order;
  }();
  const __m512i order = _mm512_load_si512(&kOrder);
  __m512i v[4];
  for (int i = 0; i < 4; ++i)
    v[i] = _mm512_permutexvar_epi16(order, round_step(x + i * 32));
  const __m512i low_01 = _mm512_shuffle_i32x4(v[0], v[1], 0x44);
  const __m512i low_23 = _mm512_shuffle_i32x4(v[2], v[3], 0x44);
  const __m512i high_01 = _mm512_shuffle_i32x4(v[0], v[1], 0xee);
  const __m512i high_23 = _mm512_shuffle_i32x4(v[2], v[3], 0xee);
  _mm512_storeu_si512(out, _mm512_shuffle_i32x4(low_01, low_23, 0x88));
  _mm512_storeu_si512(out + 32, _mm512_shuffle_i32x4(low_01, low_23, 0xdd));
  _mm512_storeu_si512(out + 64, _mm512_shuffle_i32x4(high_01, high_23, 0x88));
  _mm512_storeu_si512(out + 96, _mm512_shuffle_i32x4(high_01, high_23, 0xdd));
}

SKUA_BF16_TARGET void round_fast(const float* x, std::size_t n_cols,
                                 bool interleaved, std::uint16_t* out) {
  std::size_t c = 0;
  if (interleaved) {
    for (; c + kInterleaved <= n_cols; c += kInterleaved)
      round_interleaved(x + c, out + c);
  }
  for (; c < n_cols; c += kBf16Step)
    _mm512_storeu_si512(out + c, round_step(x + c));
}

// What the codes of two groups stand for.
SKUA_BF16_TARGET __m512i table_of(__m512 codes, const float* scales,
                                  const float* biases, std::size_t first,
                                  std::size_t second) {
  const auto numbers = [&](std::size_t g) SKUA_BF16_TARGET {
    return _mm512_fmadd_ps(codes, _mm512_set1_ps(scales[g]),
                           _mm512_set1_ps(biases[g]));
  };
  return round_two(numbers(first), numbers(second));
}

// Where the tables of each word's group begin.
template <int kGroups>
SKUA_BF16_TARGET __m512i group_offsets() {
  __m512i offsets = _mm512_setzero_si512();
  if constexpr (kGroups == 2) {
    offsets = _mm512_mask_set1_epi16(offsets, 0xffff0000u, 16);
  } else if constexpr (kGroups == 4) {
    offsets = _mm512_mask_set1_epi16(offsets, 0x0000ff00u, 16);
    offsets = _mm512_mask_set1_epi16(offsets, 0x00ff0000u, 32);
    offsets = _mm512_mask_set1_epi16(offsets, 0xff000000u, 48);
  }
  return offsets;
}

// Interleaved blocks of kGroups each. A word holds four columns; its nibbles
// are looked up in the tables of the groups.
template <int kGroups>
SKUA_BF16_TARGET void decode_nibbles(const std::uint8_t* values,
                                     std::size_t n_blocks, const float* numbers,
                                     const float* scales, const float* biases,
                                     std::uint16_t* out, std::size_t stride) {
  const __m512 codes = _mm512_loadu_ps(numbers);
  const __m512i nibble = _mm512_set1_epi16(15);
  const __m512i offsets = group_offsets<kGroups>();
  const auto look_up = [&](__m512i words, __m512i table,
                           __m512i upper) SKUA_BF16_TARGET {
    // (words & nibble) | offsets
    const __m512i at = _mm512_ternarylogic_epi32(words, nibble, offsets, 0xea);
    return kGroups == 4 ? _mm512_permutex2var_epi16(table, at, upper)
                        : _mm512_permutexvar_epi16(at, table);
  };
  for (std::size_t i = 0; i < n_blocks; ++i) {
    const __m512i words = _mm512_loadu_si512(values + i * kInterleaved / 2);
    const __m512i table =
        table_of(codes, scales, biases, 0, kGroups == 1 ? 0 : 1);
    const __m512i upper =
        kGroups == 4 ? table_of(codes, scales, biases, 2, 3) : table;
    _mm512_storeu_si512(out, look_up(words, table, upper));
    _mm512_storeu_si512(out + stride,
                        look_up(_mm512_srli_epi16(words, 4), table, upper));
    _mm512_storeu_si512(out + 2 * stride,
                        look_up(_mm512_srli_epi16(words, 8), table, upper));
    _mm512_storeu_si512(out + 3 * stride,
                        look_up(_mm512_srli_epi16(words, 12), table, upper));
    scales += kGroups;
    biases += kGroups;
    out += kSteps * stride;
  }
}

SKUA_BF16_TARGET void decode_bytes(const MatrixView& w,
                                   const std::uint8_t* values, Range columns,
                                   const float* scales, const float* biases,
                                   std::uint16_t* out, std::size_t stride) {
  const auto group_size = static_cast<std::size_t>(w.group_size);
  for (std::size_t c = columns.begin; c < columns.end; c += kBf16Step) {
    const __m512 scale = _mm512_set1_ps(scales[c / group_size]);
    const __m512 bias = _mm512_set1_ps(biases[c / group_size]);
    const auto numbers = [&](std::size_t at) SKUA_BF16_TARGET {
      const __m128i bytes =
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(values + at));
      return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)),
                             scale, bias);
    };
    _mm512_storeu_si512(out, round_two(numbers(c), numbers(c + 16)));
    out += stride;
  }
}

void decode_whole_blocks(const MatrixView& w, const std::uint8_t* values,
                         Range columns, const float* scales,
                         const float* biases, std::uint16_t* out,
                         std::size_t stride) {
  const auto group_size = static_cast<std::size_t>(w.group_size);
  const auto decode = group_size == 32   ? decode_nibbles<4>
                      : group_size == 64 ? decode_nibbles<2>
                                         : decode_nibbles<1>;
  const std::size_t g = columns.begin / group_size;
  decode(values + columns.begin / 2, columns.size() / kInterleaved,
         numbers_of_codes(w), scales + g, biases + g, out, stride);
}

#endif  // __x86_64__

bool has_fast_code() {
  return cpu_features().avx512_bf16;
}

void copy_steps(const std::uint8_t* values, Range columns, std::uint16_t* out,
                std::size_t stride) {
  for (std::size_t c = columns.begin; c < columns.end; c += kBf16Step) {
    std::memcpy(out, values + 2 * c, 2 * kBf16Step);
    out += stride;
  }
}

}  // namespace

bool has_bf16_rows(const MatrixView& w) {
  if (w.n_cols == 0 || w.n_cols % kBf16Step != 0) return false;
  if (w.encoding == Encoding::kDense) return w.float_type == Float::kBF16;
  if (w.encoding == Encoding::kMxfp4) return true;
  return w.encoding == Encoding::kAffine && (w.bits == 4 || w.bits == 8) &&
         (w.group_size == 32 || w.group_size == 64 || w.group_size == 128);
}

void round_bf16(const float* x, std::size_t n_cols, bool interleaved,
                std::uint16_t* out) {
#if defined(__x86_64__)
  if (has_fast_code()) return round_fast(x, n_cols, interleaved, out);
#endif
  const std::size_t n_whole =
      interleaved ? n_cols / kInterleaved * kInterleaved : 0;
  for (std::size_t c = 0; c < n_cols; ++c) {
    const std::size_t in_block = c % kInterleaved;
    const std::size_t at = c < n_whole ? c - in_block + place_of(in_block) : c;
    out[at] = bf16_of(x[c]);
  }
}

void decode_bf16(const MatrixView& w, std::size_t row, Range columns,
                 const float* scales, const float* biases, std::uint16_t* out,
                 std::size_t stride) {
  const std::uint8_t* values = w.values + row * w.row_bytes();
  if (w.encoding == Encoding::kDense)
    return copy_steps(values, columns, out, stride);
  Range in_order = columns;
  if (interleaves_columns(w)) {
    const std::size_t n_whole = columns.size() / kInterleaved * kInterleaved;
    const Range whole{columns.begin, columns.begin + n_whole};
    in_order.begin = whole.end;
#if defined(__x86_64__)
    if (has_fast_code()) {
      decode_whole_blocks(w, values, whole, scales, biases, out, stride);
    } else
#endif
      for (std::size_t c = whole.begin; c < whole.end; c += kInterleaved) {
        decode_interleaved(w, values, c, scales, biases,
                           out + (c - whole.begin) / kBf16Step * stride,
                           stride);
      }
    out += n_whole / kBf16Step * stride;
  }
#if defined(__x86_64__)
  if (has_fast_code() && w.bits == 8)
    return decode_bytes(w, values, in_order, scales, biases, out, stride);
#endif
  decode_in_order(w, values, in_order, scales, biases, out, stride);
}

}  // namespace skua::cpu
