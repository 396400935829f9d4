// Rows of a weight matrix as float32, for the kernels that multiply by them,
// and sums of lanes that these share. Included once for each instruction set by
// way of hwy/foreach_target.h.
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

// LoadU of Highway's scalar target needs aligned numbers.
template <class D>
HWY_INLINE hn::Vec<D> load_anywhere(D d, const void* at) {
#if HWY_TARGET == HWY_SCALAR
  hn::TFromD<D> number;
  std::memcpy(&number, at, sizeof number);
  return hn::Set(d, number);
#else
  return hn::LoadU(d, static_cast<const hn::TFromD<D>*>(at));
#endif
}

// One vector of half-width numbers.
template <class D>
HWY_INLINE hn::Vec<D> widen_vector(D df, const std::uint16_t* words,
                                   Float type) {
  const hn::Rebind<std::uint16_t, D> du16;
  const hn::Rebind<std::uint32_t, D> du32;
  const auto raw = load_anywhere(du16, words);
  if (type == Float::kF16) {
    const hn::Rebind<hwy::float16_t, D> df16;
    const auto wide = hn::PromoteTo(df, hn::BitCast(df16, raw));
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_SSSE3 || \
    HWY_TARGET == HWY_SSE4
    // Without an instruction for it, Highway takes infinities for numbers.
    const auto top = hn::Set(du32, 0x7c00);
    const auto special = hn::Eq(hn::And(hn::PromoteTo(du32, raw), top), top);
    return hn::Or(
        wide, hn::BitCast(
                  df, hn::IfThenElseZero(special, hn::Set(du32, 0x7f800000))));
#else
    return wide;
#endif
  }
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
  const auto* words = reinterpret_cast<const std::uint16_t*>(in);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(widen_vector(df, words + i, type), df, out + i);
  if (i < n) {
    std::uint16_t rest[HWY_MAX_BYTES / sizeof(float)] = {};
    float wide[HWY_MAX_BYTES / sizeof(float)];
    std::memcpy(rest, in + i * sizeof *rest, (n - i) * sizeof *rest);
    hn::StoreU(widen_vector(df, rest, type), df, wide);
    std::copy_n(wide, n - i, out + i);
  }
}

// 8 fields of kBits bits to the 8 bytes of a word: halves move apart three
// times.
template <int kBits>
std::uint64_t spread_fields(std::uint64_t x) {
  constexpr std::uint64_t kField = (1u << kBits) - 1;
  constexpr std::uint64_t kTwo = (1u << 2 * kBits) - 1;
  constexpr std::uint64_t kFour = (std::uint64_t{1} << 4 * kBits) - 1;
  x = (x & kFour) | (x >> 4 * kBits & kFour) << 32;
  x = (x & kTwo * 0x100000001) | (x >> 2 * kBits & kTwo * 0x100000001) << 16;
  return (x & kField * 0x1000100010001) |
         (x >> kBits & kField * 0x1000100010001) << 8;
}

#if HWY_TARGET != HWY_SCALAR
// Of each 128-bit block b of four vectors v of 32-bit lanes the sum of its
// lanes, in lane 4 b + v.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V sum_blocks(D d, V v0, V v1, V v2, V v3) {
  const hn::RepartitionToWide<D> d64;
  const auto fold = [&](V a, V b) {
    return hn::BitCast(d64, hn::Add(hn::InterleaveLower(d, a, b),
                                    hn::InterleaveUpper(d, a, b)));
  };
  const auto low = fold(v0, v1), high = fold(v2, v3);
  return hn::Add(hn::BitCast(d, hn::InterleaveLower(d64, low, high)),
                 hn::BitCast(d, hn::InterleaveUpper(d64, low, high)));
}

// Where a vector of 16-bit lanes finds its fields: both bytes that hold one,
// and the factor that moves it to the top of its lane.
template <int kBits, std::size_t kLanes>
struct FieldPlaces {
  alignas(32) std::uint8_t bytes[2 * kLanes] = {};
  alignas(32) std::uint16_t factors[kLanes] = {};

  constexpr FieldPlaces() {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::size_t bit = i * kBits;
      bytes[2 * i] = static_cast<std::uint8_t>(bit / 8);
      bytes[2 * i + 1] = static_cast<std::uint8_t>(bit / 8 + 1);
      factors[i] = static_cast<std::uint16_t>(1u << (16 - kBits - bit % 8));
    }
  }
};

// As unpack() for a part of the n fields, from the first on; returns how many.
template <int kBits>
std::size_t unpack_vectors(const std::uint8_t* in, std::size_t n,
                           std::uint8_t* codes) {
  const hn::CappedTag<std::uint16_t, 16> d16;
  const hn::RebindToSigned<decltype(d16)> di16;
  const hn::Repartition<std::uint8_t, decltype(d16)> d8;
  const hn::Rebind<std::uint8_t, decltype(d16)> d8_half;
  constexpr std::size_t kLanes = hn::MaxLanes(d16);
  static constexpr FieldPlaces<kBits, kLanes> kPlaces;
  const auto bytes = hn::Load(d8, kPlaces.bytes);
  const auto factors = hn::Load(d16, kPlaces.factors);
  std::size_t i = 0;
  // 16 bytes are read for each vector.
  for (; i / 8 * kBits + 16 <= n / 8 * kBits; i += kLanes) {
    const auto packed = hn::LoadDup128(d8, in + i / 8 * kBits);
    const auto windows = hn::BitCast(d16, hn::TableLookupBytes(packed, bytes));
    const auto fields = hn::ShiftRight<16 - kBits>(hn::Mul(windows, factors));
    hn::StoreU(hn::DemoteTo(d8_half, hn::BitCast(di16, fields)), d8_half,
               codes + i);
  }
  return i;
}

template <>
inline std::size_t unpack_vectors<4>(const std::uint8_t* in, std::size_t n,
                                     std::uint8_t* codes) {
  const hn::CappedTag<std::uint8_t, 16> du8;
  const std::size_t lanes = hn::Lanes(du8);
  std::size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto both = hn::LoadU(du8, in + i / 2);
    const auto low = hn::And(both, hn::Set(du8, 15));
    const auto high = hn::ShiftRight<4>(both);
    hn::StoreU(hn::InterleaveLower(du8, low, high), du8, codes + i);
    hn::StoreU(hn::InterleaveUpper(du8, low, high), du8, codes + i + lanes);
  }
  return i;
}
#else
template <int kBits>
std::size_t unpack_vectors(const std::uint8_t*, std::size_t, std::uint8_t*) {
  return 0;
}
#endif

// codes[0, n) = n little-endian fields of kBits bits; n is a multiple of 8.
template <int kBits>
void unpack(const std::uint8_t* in, std::size_t n, std::uint8_t* codes) {
  std::size_t i = unpack_vectors<kBits>(in, n, codes);
  for (; i < n; i += 8) {
    const std::uint8_t* at = in + i / 8 * kBits;
    std::uint64_t word = 0;
    // Whole words but at the end: short copies are slow to read back.
    if (i / 8 * kBits + sizeof word <= n / 8 * kBits)
      std::memcpy(&word, at, sizeof word);
    else
      std::memcpy(&word, at, kBits);
    const std::uint64_t bytes = spread_fields<kBits>(word);
    std::memcpy(codes + i, &bytes, sizeof bytes);
  }
}

inline void unpack(int bits, const std::uint8_t* in, std::size_t n,
                   std::uint8_t* codes) {
  switch (bits) {
    case 2:
      return unpack<2>(in, n, codes);
    case 3:
      return unpack<3>(in, n, codes);
    case 4:
      return unpack<4>(in, n, codes);
    case 5:
      return unpack<5>(in, n, codes);
    default:
      return unpack<6>(in, n, codes);
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

// out = code * scale + bias, one group of `kGroup` columns after another.
template <int kGroup>
HWY_INLINE void scale_codes(const std::uint8_t* HWY_RESTRICT codes,
                            const float* HWY_RESTRICT scales,
                            const float* HWY_RESTRICT biases,
                            std::size_t n_groups, float* HWY_RESTRICT out) {
  const hn::CappedTag<float, 16> df;
  const hn::Rebind<std::int32_t, decltype(df)> di32;
  const hn::Rebind<std::uint8_t, decltype(df)> du8;
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(df));
  for (std::size_t g = 0; g < n_groups; ++g) {
    const auto scale = hn::Set(df, scales[g]);
    const auto bias = hn::Set(df, biases[g]);
    for (int j = 0; j < kGroup; j += kLanes) {
      const auto q = hn::PromoteTo(di32, hn::LoadU(du8, codes + j));
      hn::StoreU(hn::MulAdd(hn::ConvertTo(df, q), scale, bias), df, out + j);
    }
    codes += kGroup;
    out += kGroup;
  }
}

inline void decode_affine(const MatrixView& w, std::size_t row,
                          const std::uint8_t* codes, DecodeScratch& scratch,
                          float* out) {
  const std::size_t n_groups = w.n_groups();
  const std::size_t offset = row * n_groups * float_bytes(w.float_type);
  scratch.scales.resize(n_groups);
  scratch.biases.resize(n_groups);
  float* scales = scratch.scales.data();
  float* biases = scratch.biases.data();
  widen(w.scales + offset, w.float_type, n_groups, scales);
  widen(w.biases + offset, w.float_type, n_groups, biases);
  switch (w.group_size) {
    case 16:
      return scale_codes<16>(codes, scales, biases, n_groups, out);
    case 32:
      return scale_codes<32>(codes, scales, biases, n_groups, out);
    case 64:
      return scale_codes<64>(codes, scales, biases, n_groups, out);
    default:
      return scale_codes<128>(codes, scales, biases, n_groups, out);
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
  const std::uint8_t* codes = values;
  if (w.bits != 8) {
    scratch.codes.resize(w.n_cols);
    unpack(w.bits, values, w.n_cols, scratch.codes.data());
    codes = scratch.codes.data();
  }
  if (w.encoding == Encoding::kAffine) {
    decode_affine(w, row, codes, scratch, out);
    return;
  }
  const FloatTables& tables = float_tables();
  const float* elements =
      w.encoding == Encoding::kMxfp8 ? tables.e4m3 : tables.e2m1;
  const float* scales =
      w.encoding == Encoding::kNvfp4 ? tables.e4m3 : tables.e8m0;
  const std::uint8_t* scale = w.scales + row * w.n_groups();
  for (std::size_t i = 0; i < w.n_cols; ++i)
    out[i] = elements[codes[i]] * scales[scale[i / w.group_size]];
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // SKUA_KERNELS_CPU_DECODE_INL_H
