// Products of packed weight rows with few 16-bit activations, read in place.
// Included once for each instruction set by way of hwy/foreach_target.h.
#if defined(SKUA_KERNELS_CPU_INT16_ROWS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SKUA_KERNELS_CPU_INT16_ROWS_INL_H
#undef SKUA_KERNELS_CPU_INT16_ROWS_INL_H
#else
#define SKUA_KERNELS_CPU_INT16_ROWS_INL_H
#endif

#include "kernels/cpu/int16_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

using Shorts = hn::ScalableTag<std::int16_t>;
using BlockShorts = hn::CappedTag<std::int16_t, 8>;

// A block is 16 bytes of packed weights. One step takes kStepVectors vectors
// of them, whose sums then fit one vector.
constexpr std::size_t kBlockBytes = 16;
constexpr std::size_t kStepVectors = 4;

template <class D>
constexpr std::size_t blocks_per_step(D d) {
  return kStepVectors * hn::MaxLanes(d) / hn::MaxLanes(BlockShorts());
}

// Columns that one 16-bit word of packed weights holds.
constexpr std::size_t fields(int bits) {
  return 16 / static_cast<std::size_t>(bits);
}

// The order in which the sums below read activations: vector by vector, in it
// field by field; whole steps first, then single blocks.
template <int kBits>
void arrange_for_rows(const std::int16_t* in, std::size_t n_cols,
                      std::int16_t* out) {
  constexpr std::size_t kFields = fields(kBits);
  const std::size_t wide = hn::MaxLanes(Shorts());
  const std::size_t step = wide * kFields * kStepVectors;
  const std::size_t whole = n_cols / step * step;
  const auto arrange = [&](std::size_t begin, std::size_t end,
                           std::size_t lanes) {
    for (std::size_t c = begin; c < end; c += lanes * kFields) {
      for (std::size_t f = 0; f < kFields; ++f)
        for (std::size_t lane = 0; lane < lanes; ++lane)
          out[c + f * lanes + lane] = in[c + lane * kFields + f];
    }
  };
  arrange(0, whole, wide);
  arrange(whole, n_cols, hn::MaxLanes(BlockShorts()));
}

// Of each 128-bit block of four vectors the sum of its lanes, in the order of
// the blocks.
template <class D32, class V32>
HWY_INLINE V32 sums_of_blocks(D32 d32, const V32* v) {
  const hn::RepartitionToWide<D32> d64;
  const auto fold = [&](V32 a, V32 b) {
    return hn::Add(hn::InterleaveLower(d32, a, b),
                   hn::InterleaveUpper(d32, a, b));
  };
  const auto ab = hn::BitCast(d64, fold(v[0], v[1]));
  const auto cd = hn::BitCast(d64, fold(v[2], v[3]));
  const auto sums = hn::Add(hn::BitCast(d32, hn::InterleaveLower(d64, ab, cd)),
                            hn::BitCast(d32, hn::InterleaveUpper(d64, ab, cd)));
  constexpr std::size_t kBlocks = hn::MaxLanes(D32()) / 4;
  if constexpr (kBlocks == 1) {
    return sums;
  } else {
    alignas(64) std::int32_t order[4 * kBlocks];
    for (std::size_t i = 0; i < 4 * kBlocks; ++i)
      order[i] = static_cast<std::int32_t>(i % kBlocks * 4 + i / kBlocks);
    return hn::TableLookupLanes(sums, hn::SetTableIndices(d32, order));
  }
}

// sums[t][0, blocks) of one step for kTokens activations x_stride apart;
// only n_vectors of its vectors are read.
template <int kBits, int kTokens, class D>
HWY_INLINE void step_sums(D d, const std::uint8_t* w, std::size_t n_vectors,
                          const std::int16_t* x, std::size_t x_stride,
                          std::int32_t* sums, std::size_t sums_stride) {
  const hn::RepartitionToWide<D> d32;
  const hn::RebindToUnsigned<D> du;
  using V32 = hn::Vec<decltype(d32)>;
  const std::size_t lanes = hn::Lanes(d);
  V32 totals[kTokens][kStepVectors];
  const auto mask = hn::Set(du, static_cast<std::uint16_t>((1 << kBits) - 1));
  for (std::size_t v = 0; v < kStepVectors; ++v) {
    V32 even[kTokens], odd[kTokens];
    for (int t = 0; t < kTokens; ++t) even[t] = odd[t] = hn::Zero(d32);
    if (v < n_vectors) {
      const auto words =
          hn::LoadU(du, reinterpret_cast<const std::uint16_t*>(w) + v * lanes);
      const auto add_field =
          [&]<std::size_t kField>(std::integral_constant<std::size_t, kField>) {
            constexpr int kShift = static_cast<int>(kField) * kBits;
            auto codes = hn::ShiftRight<kShift>(words);
            if constexpr (kShift + kBits < 16) codes = hn::And(codes, mask);
            const auto weights = hn::BitCast(d, codes);
            const std::size_t at = (v * fields(kBits) + kField) * lanes;
            for (int t = 0; t < kTokens; ++t) {
              even[t] = hn::ReorderWidenMulAccumulate(
                  d32, weights, hn::LoadU(d, x + t * x_stride + at), even[t],
                  odd[t]);
            }
          };
      [&]<std::size_t... kField>(std::index_sequence<kField...>) {
        (add_field(std::integral_constant<std::size_t, kField>()), ...);
      }(std::make_index_sequence<fields(kBits)>());
    }
    for (int t = 0; t < kTokens; ++t)
      totals[t][v] = hn::RearrangeToOddPlusEven(even[t], odd[t]);
  }
  for (int t = 0; t < kTokens; ++t)
    hn::StoreU(sums_of_blocks(d32, totals[t]), d32, sums + t * sums_stride);
}

// sums[t][0, n_blocks): code times activation, summed over each block.
// Room for kSumsSlack more is written.
constexpr std::size_t kSumsSlack = 64;
template <int kBits, int kTokens>
HWY_INLINE void block_sums(const std::uint8_t* w, std::size_t n_blocks,
                           const std::int16_t* x, std::size_t x_stride,
                           std::int32_t* sums, std::size_t sums_stride) {
  constexpr std::size_t kBlockColumns = 8 * fields(kBits);
  constexpr std::size_t kWide = blocks_per_step(Shorts());
  std::size_t b = 0;
  for (; b + kWide <= n_blocks; b += kWide) {
    step_sums<kBits, kTokens>(Shorts(), w + b * kBlockBytes, kStepVectors,
                              x + b * kBlockColumns, x_stride, sums + b,
                              sums_stride);
  }
  for (; b < n_blocks; b += kStepVectors) {
    step_sums<kBits, kTokens>(BlockShorts(), w + b * kBlockBytes,
                              std::min(kStepVectors, n_blocks - b),
                              x + b * kBlockColumns, x_stride, sums + b,
                              sums_stride);
  }
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // SKUA_KERNELS_CPU_INT16_ROWS_INL_H
