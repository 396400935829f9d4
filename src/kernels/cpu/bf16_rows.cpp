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

// The numbers of 4-bit codes; those of floats are 2 * value + 12, as
// scale_rows() has it.
alignas(64) constexpr float kAffineCodes[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                8, 9, 10, 11, 12, 13, 14, 15};
alignas(64) constexpr float kFloatCodes[16] = {12, 13, 14, 15, 16, 18, 20, 24,
                                               12, 11, 10, 9,  8,  6,  4,  0};

std::uint16_t bf16_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if (std::isnan(x)) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

constexpr std::size_t n_interleaved(std::size_t n_cols, bool interleaved) {
  return interleaved ? n_cols / kUnitColumns * kUnitColumns : 0;
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
  const std::size_t n_whole = n_interleaved(n_cols, interleaved);
  std::size_t c = 0;
  for (; c < n_whole; c += kInterleaved) round_interleaved(x + c, out + c);
  for (; c < n_cols; c += kBf16Step)
    _mm512_storeu_si512(out + c, round_step(x + c));
}

#endif  // __x86_64__

bool has_fast_code() {
  return cpu_features().avx512_bf16;
}

}  // namespace

const float* numbers_of_codes(const MatrixView& w) {
  return w.encoding == Encoding::kAffine ? kAffineCodes : kFloatCodes;
}

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
  const std::size_t n_whole = n_interleaved(n_cols, interleaved);
  for (std::size_t c = 0; c < n_cols; ++c) {
    const std::size_t at = c < n_whole ? interleaved_place(c) : c;
    out[at] = bf16_of(x[c]);
  }
}

}  // namespace skua::cpu
