// Register tiles of attention: some rows by 16 keys or columns at a time.
// Included once for each instruction set by way of hwy/foreach_target.h.
// Each number is summed in the same order whatever the tile's shape.
#if defined(SKUA_KERNELS_CPU_ATTENTION_TILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SKUA_KERNELS_CPU_ATTENTION_TILE_INL_H
#undef SKUA_KERNELS_CPU_ATTENTION_TILE_INL_H
#else
#define SKUA_KERNELS_CPU_ATTENTION_TILE_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <type_traits>

#include "kernels/cpu/attention_numbers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

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

// out[n, d, 16] = n blocks of keys from `block` on, in float32 but for the
// scales of int8.
template <KvType kType>
void widen_keys(const Numbers& keys, std::size_t block, std::size_t n,
                std::size_t d, float* out) {
  for (std::size_t b = block; b < block + n; ++b) {
    for (std::size_t i = 0; i < d; ++i) {
      for (std::size_t part = 0; part < kVectors; ++part, out += kLanes)
        hn::StoreU(load_keys<kType>(keys, b, i, d, part), Floats(), out);
    }
  }
}

// The same of slots [begin, end) of a strip of values; out[kPage, 16].
template <KvType kType>
void widen_values(const Numbers& values, std::size_t strip, std::size_t begin,
                  std::size_t end, float* out) {
  for (std::size_t j = begin; j < end; ++j) {
    for (std::size_t part = 0; part < kVectors; ++part) {
      hn::StoreU(load_values<kType>(values, strip, j, part), Floats(),
                 out + j * kLane + part * kLanes);
    }
  }
}

// Asks for what lies where the next page will be read, into the second-level
// cache. Float32 is for the most part what was widened just before.
template <KvType kType>
HWY_INLINE void prefetch(const Numbers& numbers, std::size_t i) {
  constexpr std::size_t kBits = kType == KvType::kInt4   ? 4
                                : kType == KvType::kInt8 ? 8
                                                         : 16;
  if constexpr (kType != KvType::kF32) {
    const auto at = reinterpret_cast<std::uintptr_t>(numbers.at);
    const auto next = at + i * kBits / 8 + numbers.ahead;
    __builtin_prefetch(reinterpret_cast<const void*>(next), 0, 2);
  }
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
        prefetch<kType>(keys, at + (b * d + i) * kLane);
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
      prefetch<kType>(values, at + (s * kPage + j) * kLane);
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

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
