// Register tiles of attention: some rows by 16 keys or columns at a time.
// Included once for each instruction set by way of hwy/foreach_target.h.
// Each number is summed in the same order whatever the tile's shape.
#if defined(SKUA_KERNELS_CPU_ATTENTION_TILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SKUA_KERNELS_CPU_ATTENTION_TILE_INL_H
#undef SKUA_KERNELS_CPU_ATTENTION_TILE_INL_H
#else
#define SKUA_KERNELS_CPU_ATTENTION_TILE_INL_H
#endif

#include <hwy/cache_control.h>
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels/cpu/exponential-inl.h"
#include "kernels/cpu/kv_pages.h"

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, kLane>;
using Vector = hn::Vec<Floats>;

constexpr std::size_t kLanes = hn::MaxLanes(Floats());
constexpr std::size_t kVectors = kLane / kLanes;  // of 16 numbers
// Rows of a tile: sums fill most of the registers.
constexpr std::size_t kRowsMost = kLanes >= 16 ? 8 : kLanes == 8 ? 6 : 4;

// Blocks of 16 that a tile of n rows takes at once: enough sums in flight to
// hide the latency of a multiply-add.
constexpr std::size_t blocks_of(std::size_t n_rows) {
  const std::size_t n = (kLanes >= 16 ? 16 : 8) / (n_rows * kVectors);
  return std::clamp<std::size_t>(n, 1, 4);
}
// Blocks that several groups of rows read one after another.
constexpr std::size_t kPanel = blocks_of(kRowsMost);

constexpr std::size_t kPrefetchBytes = 2048;

// Vector `part` of 16 codes in 8 bytes.
HWY_INLINE Vector load_codes(const std::byte* numbers,
                             [[maybe_unused]] std::size_t part) {
  const Floats df;
  const hn::Rebind<std::int32_t, Floats> d32;
  const auto* at = reinterpret_cast<const std::uint8_t*>(numbers);
#if HWY_MAX_BYTES >= 64
  const hn::CappedTag<std::uint8_t, 8> half;
  const hn::CappedTag<std::uint8_t, 16> d8;
  const auto both = hn::LoadU(half, at);
  const auto low = hn::And(both, hn::Set(half, 15));
  const auto codes = hn::Combine(d8, hn::ShiftRight<4>(both), low);
  return hn::ConvertTo(df, hn::PromoteTo(d32, codes));
#else
  const hn::Rebind<std::uint8_t, Floats> d8;
  const std::size_t first = part * kLanes;
  const auto both = hn::PromoteTo(d32, hn::LoadU(d8, at + first % 8));
  return hn::ConvertTo(df, first < 8 ? hn::And(both, hn::Set(d32, 15))
                                     : hn::ShiftRight<4>(both));
#endif
}

// Vector `part` of the 16 numbers from element `at`.
template <KvType kType>
HWY_INLINE Vector load(const std::byte* numbers, std::size_t at,
                       std::size_t part) {
  const Floats df;
  const std::size_t i = at + part * kLanes;
  if constexpr (kType == KvType::kF32) {
    return hn::LoadU(df, reinterpret_cast<const float*>(numbers) + i);
  } else if constexpr (kType == KvType::kInt4) {
    return load_codes(numbers + at / 2, part);
  } else if constexpr (kType == KvType::kInt8) {
    const hn::Rebind<std::int8_t, Floats> d8;
    const hn::Rebind<std::int32_t, Floats> d32;
    const auto* bytes = reinterpret_cast<const std::int8_t*>(numbers) + i;
    return hn::ConvertTo(df, hn::PromoteTo(d32, hn::LoadU(d8, bytes)));
  } else {
    const hn::Rebind<std::uint16_t, Floats> d16;
    const auto raw =
        hn::LoadU(d16, reinterpret_cast<const std::uint16_t*>(numbers) + i);
    if constexpr (kType == KvType::kF16) {
      const hn::Rebind<hwy::float16_t, Floats> df16;
      return hn::PromoteTo(df, hn::BitCast(df16, raw));
    } else {
      const hn::Rebind<std::uint32_t, Floats> d32;
      return hn::BitCast(df, hn::ShiftLeft<16>(hn::PromoteTo(d32, raw)));
    }
  }
}

// Numbers as they lie in a page, and for int4 scales and biases of sections.
struct Numbers {
  const std::byte* at;
  const float* scales = nullptr;

  const float* section(std::size_t i) const { return scales + i * 2 * kPage; }
};

// The sections of d numbers that are scaled alike.
template <KvType kType>
constexpr std::size_t section_of(std::size_t d) {
  return kType == KvType::kInt4 ? kSection : d;
}

// out[n, d, 16] = n blocks of keys from `block` on, in float32 but for the
// scales of int8.
template <KvType kType>
void widen_keys(const Numbers& keys, std::size_t block, std::size_t n,
                std::size_t d, float* out) {
  const Floats df;
  for (std::size_t b = block; b < block + n; ++b) {
    for (std::size_t i = 0; i < d; ++i) {
      for (std::size_t part = 0; part < kVectors; ++part, out += kLanes) {
        Vector key = load<kType>(keys.at, (b * d + i) * kLane, part);
        if constexpr (kType == KvType::kInt4) {
          const float* scales = keys.section(i / kSection) + b * kLane;
          key = hn::MulAdd(key, hn::LoadU(df, scales + part * kLanes),
                           hn::LoadU(df, scales + kPage + part * kLanes));
        }
        hn::StoreU(key, df, out);
      }
    }
  }
}

// The same of slots [begin, end) of a strip of values; out[kPage, 16].
template <KvType kType>
void widen_values(const Numbers& values, std::size_t strip, std::size_t begin,
                  std::size_t end, float* out) {
  const Floats df;
  for (std::size_t j = begin; j < end; ++j) {
    for (std::size_t part = 0; part < kVectors; ++part) {
      Vector value = load<kType>(values.at, (strip * kPage + j) * kLane, part);
      if constexpr (kType == KvType::kInt4) {
        const float* scales = values.section(strip * kLane / kSection) + j;
        value = hn::MulAdd(value, hn::Set(df, scales[0]),
                           hn::Set(df, scales[kPage]));
      }
      hn::StoreU(value, df, out + j * kLane + part * kLanes);
    }
  }
}

// Asks for the memory that is read a little later. Float32 is for the most
// part what was widened just before.
template <KvType kType>
HWY_INLINE void prefetch(const std::byte* numbers, std::size_t i) {
  constexpr std::size_t kBits = kType == KvType::kInt4   ? 4
                                : kType == KvType::kInt8 ? 8
                                                         : 16;
  if constexpr (kType != KvType::kF32)
    hwy::Prefetch(numbers + i * kBits / 8 + kPrefetchBytes);
}

// scores[r, 16 * kBlocks] = q[:, r] . keys, of kRows rows.
template <KvType kType, std::size_t kRows, std::size_t kBlocks>
HWY_NOINLINE void score(const float* HWY_RESTRICT q, const Numbers& keys,
                        std::size_t first, std::size_t d,
                        float* HWY_RESTRICT scores) {
  const Floats df;
  constexpr std::size_t kN = kBlocks * kVectors;
  const std::size_t at = first * d * kLane, section = section_of<kType>(d);
  Vector sums[kRows][kN], scales[kN], biases[kN];
  for (auto& row : sums)
    for (Vector& sum : row) sum = hn::Zero(df);
  for (std::size_t begin = 0; begin < d; begin += section) {
    if constexpr (kType == KvType::kInt4) {
      const float* from = keys.section(begin / kSection) + first * kLane;
      for (std::size_t n = 0; n < kN; ++n) {
        scales[n] = hn::LoadU(df, from + n * kLanes);
        biases[n] = hn::LoadU(df, from + kPage + n * kLanes);
      }
    }
    for (std::size_t i = begin; i < std::min(begin + section, d); ++i) {
      for (std::size_t b = 0; b < kBlocks; ++b)
        prefetch<kType>(keys.at, at + (b * d + i) * kLane);
      Vector key[kN];
      for (std::size_t n = 0; n < kN; ++n) {
        const std::size_t block = n / kVectors, part = n % kVectors;
        key[n] = load<kType>(keys.at, at + (block * d + i) * kLane, part);
        if constexpr (kType == KvType::kInt4)
          key[n] = hn::MulAdd(key[n], scales[n], biases[n]);
      }
      for (std::size_t r = 0; r < kRows; ++r) {
        const Vector query = hn::Set(df, q[i * kRows + r]);
        for (std::size_t n = 0; n < kN; ++n)
          sums[r][n] = hn::MulAdd(query, key[n], sums[r][n]);
      }
    }
  }
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t n = 0; n < kN; ++n)
      hn::StoreU(sums[r][n], df, scores + r * kPage + n * kLanes);
}

// The section of strip first + i; `first` is a multiple of kStrips, so that an
// even number of strips reads each section's scales once.
template <std::size_t kStrips>
constexpr std::size_t section_at(std::size_t first, std::size_t i) {
  constexpr std::size_t kEach = kSection / kLane;
  return kStrips % kEach == 0 ? first / kEach + i / kEach : (first + i) / kEach;
}

// out[r, 16 * kStrips] += weights[r, begin..end) * values from strip `first`,
// which is a multiple of kStrips.
template <KvType kType, std::size_t kRows, std::size_t kStrips>
HWY_NOINLINE void mix(const float* HWY_RESTRICT weights, const Numbers& values,
                      std::size_t first, std::size_t begin, std::size_t end,
                      float* HWY_RESTRICT out, std::size_t stride) {
  const Floats df;
  constexpr std::size_t kN = kStrips * kVectors;
  const std::size_t at = first * kPage * kLane;
  Vector sums[kRows][kN];
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t n = 0; n < kN; ++n)
      sums[r][n] = hn::LoadU(df, out + r * stride + n * kLanes);
  for (std::size_t j = begin; j < end; ++j) {
    for (std::size_t s = 0; s < kStrips; ++s)
      prefetch<kType>(values.at, at + (s * kPage + j) * kLane);
    Vector value[kN];
    for (std::size_t n = 0; n < kN; ++n) {
      const std::size_t strip = n / kVectors, part = n % kVectors;
      value[n] = load<kType>(values.at, at + (strip * kPage + j) * kLane, part);
      if constexpr (kType == KvType::kInt4) {
        const float* scales = values.section(section_at<kStrips>(first, strip));
        value[n] = hn::MulAdd(value[n], hn::Set(df, scales[j]),
                              hn::Set(df, scales[kPage + j]));
      }
    }
    for (std::size_t r = 0; r < kRows; ++r) {
      const Vector weight = hn::Set(df, weights[r * kPage + j]);
      for (std::size_t n = 0; n < kN; ++n)
        sums[r][n] = hn::MulAdd(weight, value[n], sums[r][n]);
    }
  }
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t n = 0; n < kN; ++n)
      hn::StoreU(sums[r][n], df, out + r * stride + n * kLanes);
}

// body(integral_constant<n>), 1 <= n <= kRowsMost.
template <class Body>
HWY_INLINE void with_rows(std::size_t n, const Body& body) {
  const auto call = [&]<std::size_t kRows>() {
    if constexpr (kRows <= kRowsMost)
      body(std::integral_constant<std::size_t, kRows>());
  };
  switch (n) {
    case 1:
      return call.template operator()<1>();
    case 2:
      return call.template operator()<2>();
    case 3:
      return call.template operator()<3>();
    case 4:
      return call.template operator()<4>();
    case 5:
      return call.template operator()<5>();
    case 6:
      return call.template operator()<6>();
    case 7:
      return call.template operator()<7>();
    default:
      return call.template operator()<8>();
  }
}

// score() over n_blocks blocks of keys from `first` on.
template <KvType kType>
void score_group(std::size_t n_rows, const float* q, const Numbers& keys,
                 std::size_t first, std::size_t n_blocks, std::size_t d,
                 float* scores) {
  with_rows(n_rows, [&](auto rows) {
    constexpr std::size_t kBlocks = blocks_of(rows);
    std::size_t b = 0;
    for (; b + kBlocks <= n_blocks; b += kBlocks)
      score<kType, rows, kBlocks>(q, keys, first + b, d, scores + b * kLane);
    for (; b < n_blocks; ++b)
      score<kType, rows, 1>(q, keys, first + b, d, scores + b * kLane);
  });
}

// mix() over n_strips strips of values.
template <KvType kType>
void mix_group(std::size_t n_rows, const float* weights, const Numbers& values,
               std::size_t n_strips, std::size_t begin, std::size_t end,
               float* out, std::size_t stride) {
  with_rows(n_rows, [&](auto rows) {
    constexpr std::size_t kStrips = blocks_of(rows);
    std::size_t s = 0;
    for (; s + kStrips <= n_strips; s += kStrips) {
      mix<kType, rows, kStrips>(weights, values, s, begin, end, out + s * kLane,
                                stride);
    }
    for (; s < n_strips; ++s) {
      mix<kType, rows, 1>(weights, values, s, begin, end, out + s * kLane,
                          stride);
    }
  });
}

// x *= factors, n numbers; n is a multiple of 16 here and below.
inline void multiply(const float* factors, std::size_t n, float* x) {
  const Floats df;
  for (std::size_t i = 0; i < n; i += kLanes) {
    hn::StoreU(hn::Mul(hn::LoadU(df, x + i), hn::LoadU(df, factors + i)), df,
               x + i);
  }
}

// x = most * tanh(x / most)
inline void cap(float most, std::size_t n, float* x) {
  const Floats df;
  const Vector factor = hn::Set(df, most);
  const Vector inverse = hn::Set(df, 1 / most);
  for (std::size_t i = 0; i < n; i += kLanes) {
    const Vector part = hn::Mul(hn::LoadU(df, x + i), inverse);
    hn::StoreU(hn::Mul(factor, hn::Tanh(df, part)), df, x + i);
  }
}

// x[i] += slope * (distance + i)
inline void lean(float slope, float distance, std::size_t n, float* x) {
  const Floats df;
  const Vector slopes = hn::Set(df, slope);
  for (std::size_t i = 0; i < n; i += kLanes) {
    const Vector at = hn::Iota(df, distance + static_cast<float>(i));
    hn::StoreU(hn::MulAdd(slopes, at, hn::LoadU(df, x + i)), df, x + i);
  }
}

inline float largest(const float* x, std::size_t n) {
  const Floats df;
  Vector most = hn::LoadU(df, x);
  for (std::size_t i = kLanes; i < n; i += kLanes)
    most = hn::Max(most, hn::LoadU(df, x + i));
  return hn::GetLane(hn::MaxOfLanes(df, most));
}

// scores = e^(scores - max); returns their sum.
inline float exponentials(float max, std::size_t n, float* scores) {
  const Floats df;
  const Vector most = hn::Set(df, max);
  Vector sums[kVectors];
  for (Vector& sum : sums) sum = hn::Zero(df);
  for (std::size_t i = 0; i < n; i += kLane) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      float* at = scores + i + v * kLanes;
      const Vector e = exponential(df, hn::Sub(hn::LoadU(df, at), most));
      hn::StoreU(e, df, at);
      sums[v] = hn::Add(sums[v], e);
    }
  }
  for (std::size_t v = 1; v < kVectors; ++v)
    sums[0] = hn::Add(sums[0], sums[v]);
  return hn::GetLane(hn::SumOfLanes(df, sums[0]));
}

// Both rows: n_columns mixed values, the largest score, the weights' sum.
// Never inlined, so that every caller rounds alike.
HWY_NOINLINE void merge_row(std::size_t n_columns, const float* later,
                            float* row) {
  const float later_max = later[n_columns];
  if (later_max == -HUGE_VALF) return;
  float& max = row[n_columns];
  float& sum = row[n_columns + 1];
  const float most = std::max(max, later_max);
  const float keep = std::exp(max - most);
  const float add = std::exp(later_max - most);
  const Floats df;
  const Vector keeps = hn::Set(df, keep), adds = hn::Set(df, add);
  for (std::size_t i = 0; i < n_columns; i += kLanes) {
    const Vector kept = hn::Mul(keeps, hn::LoadU(df, row + i));
    hn::StoreU(hn::MulAdd(adds, hn::LoadU(df, later + i), kept), df, row + i);
  }
  sum = sum * keep + later[n_columns + 1] * add;
  max = most;
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
