// Rows of a weight matrix as float32, for the kernels that multiply by them.
// Included once for each instruction set by way of hwy/foreach_target.h.
#if defined(SKUA_KERNELS_CPU_DECODE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SKUA_KERNELS_CPU_DECODE_INL_H
#undef SKUA_KERNELS_CPU_DECODE_INL_H
#else
#define SKUA_KERNELS_CPU_DECODE_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/cpu/matrix.h"

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;

// One vector of half-width numbers.
inline Vector widen_vector(const std::uint16_t* words, Float type) {
  const Floats df;
  const hn::Rebind<std::uint16_t, Floats> du16;
  const auto raw = hn::LoadU(du16, words);
  if (type == Float::kF16) {
    const hn::Rebind<hwy::float16_t, Floats> df16;
    return hn::PromoteTo(df, hn::BitCast(df16, raw));
  }
  const hn::Rebind<std::uint32_t, Floats> du32;
  return hn::BitCast(df, hn::ShiftLeft<16>(hn::PromoteTo(du32, raw)));
}

// out[0, n) = the n numbers of `type` at `in`.
inline void widen(const std::uint8_t* in, Float type, std::size_t n,
                  float* out) {
  if (type == Float::kF32) {
    std::memcpy(out, in, n * sizeof(float));
    return;
  }
  const Floats df;
  const std::size_t lanes = hn::Lanes(df);
  std::uint16_t words[HWY_MAX_BYTES / sizeof(float)] = {};
  for (std::size_t i = 0; i < n; i += lanes) {
    const std::size_t count = std::min(lanes, n - i);
    std::memcpy(words, in + 2 * i, 2 * count);
    const Vector wide = widen_vector(words, type);
    if (count == lanes) {
      hn::StoreU(wide, df, out + i);
    } else {
      float rest[HWY_MAX_BYTES / sizeof(float)];
      hn::StoreU(wide, df, rest);
      std::copy_n(rest, count, out + i);
    }
  }
}

// codes[0, n) = n little-endian fields of `bits` bits; n is a multiple of 8.
inline void unpack(const std::uint8_t* in, int bits, std::size_t n,
                   std::uint8_t* codes) {
  if (bits == 8) {
    std::memcpy(codes, in, n);
    return;
  }
  std::size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  if (bits == 4) {
    const hn::CappedTag<std::uint8_t, 16> du8;
    const std::size_t lanes = hn::Lanes(du8);
    for (; i + 2 * lanes <= n; i += 2 * lanes) {
      const auto both = hn::LoadU(du8, in + i / 2);
      const auto low = hn::And(both, hn::Set(du8, 15));
      const auto high = hn::ShiftRight<4>(both);
      hn::StoreU(hn::InterleaveLower(du8, low, high), du8, codes + i);
      hn::StoreU(hn::InterleaveUpper(du8, low, high), du8, codes + i + lanes);
    }
  }
#endif
  const std::uint64_t mask = (1u << bits) - 1;
  for (; i < n; i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, in + i / 8 * bits, bits);
    for (int j = 0; j < 8; ++j, word >>= bits)
      codes[i + j] = static_cast<std::uint8_t>(word & mask);
  }
}

// E2M1, the element of mxfp4 and nvfp4.
inline float decode_e2m1(std::uint8_t code) {
  static constexpr float kValues[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  return (code & 8) != 0 ? -kValues[code & 7] : kValues[code & 7];
}

// E4M3, the element of mxfp8 and the scale of nvfp4; no infinities.
inline float decode_e4m3(std::uint8_t code) {
  const int exponent = code >> 3 & 15;
  const int mantissa = code & 7;
  float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                              : std::ldexp(static_cast<float>(8 + mantissa),
                                           exponent - 10);
  if (exponent == 15 && mantissa == 7) value = NAN;
  return (code & 128) != 0 ? -value : value;
}

struct FloatTables {
  float e2m1[256];
  float e4m3[256];
  float e8m0[256];
  FloatTables() {
    for (int i = 0; i < 256; ++i) {
      e2m1[i] = decode_e2m1(static_cast<std::uint8_t>(i));
      e4m3[i] = decode_e4m3(static_cast<std::uint8_t>(i));
      e8m0[i] = i == 255 ? NAN : std::ldexp(1.0f, i - 127);
    }
  }
};

inline const FloatTables& float_tables() {
  static const FloatTables tables;
  return tables;
}

struct DecodeScratch {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
  std::vector<float> biases;
};

inline void decode_affine(const MatrixView& w, std::size_t row,
                          DecodeScratch& scratch, float* out) {
  const std::size_t n_groups = w.n_groups();
  const std::size_t scale_bytes = w.float_type == Float::kF32 ? 4 : 2;
  const std::size_t offset = row * n_groups * scale_bytes;
  scratch.scales.resize(n_groups);
  scratch.biases.resize(n_groups);
  widen(w.scales + offset, w.float_type, n_groups, scratch.scales.data());
  widen(w.biases + offset, w.float_type, n_groups, scratch.biases.data());

  const hn::CappedTag<float, 16> df;
  const hn::Rebind<std::int32_t, decltype(df)> di32;
  const hn::Rebind<std::uint8_t, decltype(df)> du8;
  const std::size_t lanes = hn::Lanes(df);
  const std::uint8_t* code = scratch.codes.data();
  for (std::size_t g = 0; g < n_groups; ++g) {
    const auto scale = hn::Set(df, scratch.scales[g]);
    const auto bias = hn::Set(df, scratch.biases[g]);
    for (int j = 0; j < w.group_size; j += static_cast<int>(lanes)) {
      const auto q =
          hn::ConvertTo(df, hn::PromoteTo(di32, hn::LoadU(du8, code)));
      hn::StoreU(hn::MulAdd(q, scale, bias), df, out);
      code += lanes;
      out += lanes;
    }
  }
}

// out[0, n_cols) = row `row` of w.
inline void decode_row(const MatrixView& w, std::size_t row,
                       DecodeScratch& scratch, float* out) {
  const std::uint8_t* values = w.values + row * w.row_bytes();
  if (w.encoding == Encoding::kDense) {
    widen(values, w.float_type, w.n_cols, out);
    return;
  }
  scratch.codes.resize(w.n_cols);
  unpack(values, w.bits, w.n_cols, scratch.codes.data());
  if (w.encoding == Encoding::kAffine) {
    decode_affine(w, row, scratch, out);
    return;
  }
  const FloatTables& tables = float_tables();
  const float* elements =
      w.encoding == Encoding::kMxfp8 ? tables.e4m3 : tables.e2m1;
  const float* scales =
      w.encoding == Encoding::kNvfp4 ? tables.e4m3 : tables.e8m0;
  const std::uint8_t* scale = w.scales + row * w.n_groups();
  for (std::size_t i = 0; i < w.n_cols; ++i)
    out[i] = elements[scratch.codes[i]] * scales[scale[i / w.group_size]];
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // SKUA_KERNELS_CPU_DECODE_INL_H
