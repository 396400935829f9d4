// Products of packed weight rows with few 16-bit activations, read in place.
// Included once for each instruction set by way of hwy/foreach_target.h.
#if defined(SKUA_KERNELS_CPU_INT16_ROWS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SKUA_KERNELS_CPU_INT16_ROWS_INL_H
#undef SKUA_KERNELS_CPU_INT16_ROWS_INL_H
#else
#define SKUA_KERNELS_CPU_INT16_ROWS_INL_H
#endif

#include <hwy/cache_control.h>

#include "kernels/cpu/int16_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

using Shorts = hn::ScalableTag<std::int16_t>;
using Sums = hn::RepartitionToWide<Shorts>;
using EightSums = hn::RebindToSigned<Eight>;

// A block is 16 bytes of packed weights; a group of columns has whole ones.
constexpr std::size_t kBlockBytes = 16;
constexpr std::size_t kVectorBytes = hn::MaxLanes(Shorts()) * 2;
constexpr std::size_t kVectorBlocks = kVectorBytes / kBlockBytes;

// Reaches into the next page: there the CPU's own prefetching begins anew, and
// the address is translated.
constexpr std::size_t kPrefetchBytes = 8192;

// Columns that one 16-bit word of packed weights holds.
constexpr std::size_t fields(int bits) {
  return 16 / static_cast<std::size_t>(bits);
}

// The order in which the sums below read activations: vector by vector, in it
// field by field.
template <int kBits>
void arrange_for_rows(const std::int16_t* in, std::size_t n_cols,
                      std::int16_t* out) {
  constexpr std::size_t kFields = fields(kBits);
  constexpr std::size_t kLanes = hn::MaxLanes(Shorts());
  for (std::size_t c = 0; c < n_cols; c += kLanes * kFields) {
    for (std::size_t f = 0; f < kFields; ++f)
      for (std::size_t lane = 0; lane < kLanes; ++lane)
        out[c + f * kLanes + lane] = in[c + lane * kFields + f];
  }
}

// One vector of packed codes as 16-bit numbers: field by field.
template <int kBits>
struct Codes {
  hn::Vec<Shorts> field[fields(kBits)];

  HWY_INLINE explicit Codes(const std::uint8_t* packed) {
    const hn::RebindToUnsigned<Shorts> du;
    const auto words =
        hn::LoadU(du, reinterpret_cast<const std::uint16_t*>(packed));
    const auto mask = hn::Set(du, static_cast<std::uint16_t>((1 << kBits) - 1));
    const auto set = [&](std::size_t f, auto code) {
      field[f] = hn::BitCast(Shorts(), code);
    };
    set(0, hn::And(words, mask));
    if constexpr (kBits == 2) {
      set(1, hn::And(hn::ShiftRight<2>(words), mask));
      set(2, hn::And(hn::ShiftRight<4>(words), mask));
      set(3, hn::And(hn::ShiftRight<6>(words), mask));
      set(4, hn::And(hn::ShiftRight<8>(words), mask));
      set(5, hn::And(hn::ShiftRight<10>(words), mask));
      set(6, hn::And(hn::ShiftRight<12>(words), mask));
    } else if constexpr (kBits == 4) {
      set(1, hn::And(hn::ShiftRight<4>(words), mask));
      set(2, hn::And(hn::ShiftRight<8>(words), mask));
    }
    set(fields(kBits) - 1, hn::ShiftRight<16 - kBits>(words));
  }

  // Codes times activations; a block's are in four lanes.
  HWY_INLINE hn::Vec<Sums> dot(const std::int16_t* x) const {
    const Sums d32;
    auto even = hn::Zero(d32), odd = hn::Zero(d32);
    for (std::size_t f = 0; f < fields(kBits); ++f) {
      even = hn::ReorderWidenMulAccumulate(
          d32, field[f], hn::LoadU(Shorts(), x + f * hn::MaxLanes(Shorts())),
          even, odd);
    }
    return hn::RearrangeToOddPlusEven(even, odd);
  }
};

// Of each 128-bit block b of four vectors v the sum of its lanes, in lane
// 4 b + v.
template <class V>
HWY_INLINE V sum_blocks(V v0, V v1, V v2, V v3) {
  const Sums d;
  const hn::RepartitionToWide<Sums> d64;
  const auto fold = [&](V a, V b) {
    return hn::BitCast(d64, hn::Add(hn::InterleaveLower(d, a, b),
                                    hn::InterleaveUpper(d, a, b)));
  };
  const auto low = fold(v0, v1), high = fold(v2, v3);
  return hn::Add(hn::BitCast(d, hn::InterleaveLower(d64, low, high)),
                 hn::BitCast(d, hn::InterleaveUpper(d64, low, high)));
}

// Lanes of v in the order kOrder(0), kOrder(1), ...
template <class V, class Order>
HWY_INLINE V permute(V v, Order order) {
  alignas(64) std::int32_t table[hn::MaxLanes(Sums())];
  for (std::size_t i = 0; i < hn::MaxLanes(Sums()); ++i)
    table[i] = static_cast<std::int32_t>(order(i));
  return hn::TableLookupLanes(v, hn::SetTableIndices(Sums(), table));
}

// Joins what sum_blocks() gave for the eight groups' vectors, a group or more
// in each: sums[p] are lanes of eight in the order of the groups.
template <std::size_t kPerVector, class V>
HWY_INLINE void join_blocks(const V* blocks, hn::Vec<EightSums>* sums) {
  const Sums d;
  if constexpr (kVectorBlocks == 1) {
    sums[0] = blocks[0];
    sums[1] = blocks[1];
  } else if constexpr (kVectorBlocks == 2 && kPerVector == 1) {
    sums[0] = hn::Add(hn::ConcatLowerLower(d, blocks[1], blocks[0]),
                      hn::ConcatUpperUpper(d, blocks[1], blocks[0]));
  } else if constexpr (kVectorBlocks == 2) {
    sums[0] = permute(blocks[0], [](auto g) { return g % 2 * 4 + g / 2; });
  } else {
    // Each half of `halves` holds a part of all eight sums.
    V halves;
    if constexpr (kPerVector == 1) {
      halves =
          permute(hn::Add(hn::ConcatLowerLower(d, blocks[1], blocks[0]),
                          hn::ConcatUpperUpper(d, blocks[1], blocks[0])),
                  [](auto i) { return i % 8 / 4 * 8 + i / 8 * 4 + i % 4; });
    } else if constexpr (kPerVector == 2) {
      halves = permute(blocks[0], [](auto i) {
        return (i % 2 * 2 + i / 8) * 4 + i % 8 / 2;
      });
    } else {
      halves = permute(
          blocks[0], [](auto i) { return i % 4 * 4 + i / 4 % 2 + i / 8 * 2; });
    }
    sums[0] =
        hn::Add(hn::LowerHalf(halves), hn::UpperHalf(EightSums(), halves));
  }
}

// sums[t][0, 8): code times activation, summed over each of eight groups of
// kGroupBlocks blocks. Token t's activations are at x + t x_stride.
template <int kBits, std::size_t kGroupBlocks, std::size_t kTokens>
HWY_INLINE void eight_sums(const std::uint8_t* codes, const std::int16_t* x,
                           std::size_t x_stride,
                           hn::Vec<EightSums> (&sums)[kTokens][kEightParts]) {
  using V = hn::Vec<Sums>;
  constexpr std::size_t kPerVector =
      std::max<std::size_t>(kVectorBlocks / kGroupBlocks, 1);
  constexpr std::size_t kVectors =
      std::max<std::size_t>(kGroupBlocks / kVectorBlocks, 1);
  constexpr std::size_t kTotals = kPartials / kPerVector;
  constexpr std::size_t kVectorColumns = hn::MaxLanes(Shorts()) * fields(kBits);
  V blocks[kTokens][(kTotals + 3) / 4];
  for (std::size_t first = 0; first < kTotals; first += 4) {
    V totals[kTokens][4];
    for (std::size_t i = 0; i < 4; ++i) {
      for (std::size_t t = 0; t < kTokens; ++t) totals[t][i] = hn::Zero(Sums());
      if (first + i >= kTotals) continue;
      for (std::size_t v = 0; v < kVectors; ++v) {
        const std::size_t at = (first + i) * kVectors + v;
        const Codes<kBits> vector(codes + at * kVectorBytes);
        const std::int16_t* of_vector = x + at * kVectorColumns;
        for (std::size_t t = 0; t < kTokens; ++t) {
          totals[t][i] =
              hn::Add(totals[t][i], vector.dot(of_vector + t * x_stride));
        }
      }
    }
    for (std::size_t t = 0; t < kTokens; ++t) {
      blocks[t][first / 4] =
          sum_blocks(totals[t][0], totals[t][1], totals[t][2], totals[t][3]);
    }
  }
  for (std::size_t t = 0; t < kTokens; ++t)
    join_blocks<kPerVector>(blocks[t], sums[t]);
}

// ((p0 + p4) + (p2 + p6)) + ((p1 + p5) + (p3 + p7)), as join_panel() does.
inline float join_partials(const float* p) {
  const hn::CappedTag<float, 4> d4;
  const auto four = hn::Add(hn::Load(d4, p), hn::Load(d4, p + 4));
  const auto two = hn::Add(four, hn::Shuffle1032(four));
  return hn::GetLane(hn::Add(two, hn::Shuffle2301(two)));
}

// A row's scales and biases, whole sets of eight.
struct RowScales {
  Float type = Float::kF32;
  const std::uint8_t* scales = nullptr;
  const std::uint8_t* biases = nullptr;

  HWY_INLINE hn::Vec<Eight> load(const std::uint8_t* numbers,
                                 std::size_t g) const {
    const Eight df;
    if (type == Float::kF32)
      return hn::LoadU(df, reinterpret_cast<const float*>(numbers) + g);
    return widen_vector(df, reinterpret_cast<const std::uint16_t*>(numbers) + g,
                        type);
  }
};

// partials[t][g % 8] for kTokens activations from `token` on: over the groups
// the sums of (w_scale * sum + w_bias * x_sum) * x_scale.
template <int kBits, std::size_t kGroupBlocks, std::size_t kTokens>
void multiply_row(const std::uint8_t* codes, RowScales w,
                  const Int16Activations& a, std::size_t token,
                  float* partials) {
  const Eight df;
  constexpr std::size_t kEightBytes = kPartials * kGroupBlocks * kBlockBytes;
  const auto* x = a.values.as<std::int16_t>() + token * a.stride();
  const float* x_scales = a.scales.as<float>() + token * a.n_groups;
  const float* x_sums = a.sums.as<float>() + token * a.n_groups;
  hn::Vec<Eight> totals[kTokens][kEightParts];
  for (std::size_t t = 0; t < kTokens; ++t)
    for (std::size_t p = 0; p < kEightParts; ++p) totals[t][p] = hn::Zero(df);
  for (std::size_t g = 0; g < a.n_groups; g += kPartials) {
    hn::Vec<EightSums> sums[kTokens][kEightParts];
    eight_sums<kBits, kGroupBlocks>(codes, x, a.stride(), sums);
    for (std::size_t i = 0; i < kEightBytes; i += 64)
      hwy::Prefetch(codes + kPrefetchBytes + i);
    codes += kEightBytes;
    x += kEightBytes * 8 / kBits;
    for (std::size_t p = 0; p < kEightParts; ++p) {
      const std::size_t at = g + p * hn::MaxLanes(df);
      const auto w_scale = w.load(w.scales, at);
      const auto w_bias = w.load(w.biases, at);
      for (std::size_t t = 0; t < kTokens; ++t) {
        const std::size_t x_at = t * a.n_groups + at;
        const auto bias = hn::Mul(w_bias, hn::LoadU(df, x_sums + x_at));
        const auto term =
            hn::MulAdd(w_scale, hn::ConvertTo(df, sums[t][p]), bias);
        totals[t][p] =
            hn::MulAdd(term, hn::LoadU(df, x_scales + x_at), totals[t][p]);
      }
    }
  }
  for (std::size_t t = 0; t < kTokens; ++t) {
    for (std::size_t p = 0; p < kEightParts; ++p) {
      hn::Store(totals[t][p], df,
                partials + t * kPartials + p * hn::MaxLanes(df));
    }
  }
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // SKUA_KERNELS_CPU_INT16_ROWS_INL_H
