// Products of packed weight rows with few 16-bit activations, read in place.
// Included once for each instruction set by way of hwy/foreach_target.h.
#if defined(SKUA_KERNELS_CPU_INT16_ROWS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SKUA_KERNELS_CPU_INT16_ROWS_INL_H
#undef SKUA_KERNELS_CPU_INT16_ROWS_INL_H
#else
#define SKUA_KERNELS_CPU_INT16_ROWS_INL_H
#endif

#include <hwy/cache_control.h>

#include "kernels/cpu/int16_products-inl.h"

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

using EightSums = hn::RebindToSigned<Eight>;

// A block is 16 bytes of packed weights; a group of columns has whole ones.
constexpr std::size_t kBlockBytes = 16;
constexpr std::size_t kVectorBytes = hn::MaxLanes(Shorts()) * 2;
constexpr std::size_t kVectorBlocks = kVectorBytes / kBlockBytes;

// Reaches into the next page: there the CPU's own prefetching begins anew, and
// the address is translated.
constexpr std::size_t kPrefetchBytes = 4096;

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

// What the kernels below know of a set of eight groups, each of kGroupBlocks
// blocks.
template <int kBits, std::size_t kGroupBlocks>
struct SetShape {
  // Groups in a vector of codes, or vectors of a group, where more than one.
  static constexpr std::size_t kPerVector =
      std::max<std::size_t>(kVectorBlocks / kGroupBlocks, 1);
  static constexpr std::size_t kVectors =
      std::max<std::size_t>(kGroupBlocks / kVectorBlocks, 1);
  static constexpr std::size_t kTotals = kPartials / kPerVector;
  static constexpr std::size_t kTotalBytes = kVectors * kVectorBytes;
  static constexpr std::size_t kTotalColumns = kTotalBytes * 8 / kBits;
  static constexpr std::size_t kBytes = kTotals * kTotalBytes;
};

// totals[t]: code times activation over kVectors vectors. Token t's activations
// are at x + t x_stride.
template <int kBits, std::size_t kVectors, std::size_t kTokens>
HWY_INLINE void add_vectors(const std::uint8_t* codes, const std::int16_t* x,
                            std::size_t x_stride,
                            hn::Vec<Sums> (&totals)[kTokens]) {
  using D = CodeLanes<kBits>;
  Products<kBits> products[kTokens];
  for (std::size_t v = 0; v < kVectors; ++v) {
    const std::int16_t* of_vector = x + v * kVectorBytes * 8 / kBits;
    for_fields<kBits>(D(), codes + v * kVectorBytes,
                      [&](hn::Vec<D> field, std::size_t f) {
                        for (std::size_t t = 0; t < kTokens; ++t)
                          products[t].add(field, f, of_vector + t * x_stride);
                      });
  }
  for (std::size_t t = 0; t < kTokens; ++t) totals[t] = products[t].total();
}

// sums[t][0, 8): code times activation, summed over each of eight groups.
template <int kBits, std::size_t kGroupBlocks, std::size_t kTokens>
HWY_INLINE void eight_sums(const std::uint8_t* codes, const std::int16_t* x,
                           std::size_t x_stride,
                           hn::Vec<EightSums> (&sums)[kTokens][kEightParts]) {
  using V = hn::Vec<Sums>;
  using Set = SetShape<kBits, kGroupBlocks>;
  V blocks[kTokens][(Set::kTotals + 3) / 4];
  for (std::size_t first = 0; first < Set::kTotals; first += 4) {
    V totals[4][kTokens];
    for (std::size_t i = 0; i < 4; ++i) {
      if (first + i < Set::kTotals) {
        add_vectors<kBits, Set::kVectors>(
            codes + (first + i) * Set::kTotalBytes,
            x + (first + i) * Set::kTotalColumns, x_stride, totals[i]);
      } else {
        for (V& total : totals[i]) total = hn::Zero(Sums());
      }
    }
    for (std::size_t t = 0; t < kTokens; ++t) {
      blocks[t][first / 4] = sum_blocks(Sums(), totals[0][t], totals[1][t],
                                        totals[2][t], totals[3][t]);
    }
  }
  for (std::size_t t = 0; t < kTokens; ++t)
    join_blocks<Set::kPerVector>(blocks[t], sums[t]);
}

// ((p0 + p4) + (p2 + p6)) + ((p1 + p5) + (p3 + p7)), as join_panel() does.
inline float join_partials(const float* p) {
  const hn::CappedTag<float, 4> d4;
  const auto four = hn::Add(hn::Load(d4, p), hn::Load(d4, p + 4));
  const auto two = hn::Add(four, hn::Shuffle1032(four));
  return hn::GetLane(hn::Add(two, hn::Shuffle2301(two)));
}

// Rows of a weight matrix in memory, each so many bytes after the one before.
struct RowBlock {
  std::size_t n_rows = 0;
  const std::uint8_t* codes = nullptr;
  std::size_t code_stride = 0;
  Float scale_type = Float::kF32;
  const std::uint8_t* scales = nullptr;
  const std::uint8_t* biases = nullptr;
  std::size_t scale_stride = 0;
};

// Eight numbers from `numbers`[g] on.
HWY_INLINE hn::Vec<Eight> load_scales(const std::uint8_t* numbers, Float type,
                                      std::size_t g) {
  const Eight df;
  if (type == Float::kF32)
    return hn::LoadU(df, reinterpret_cast<const float*>(numbers) + g);
  return widen_vector(df, reinterpret_cast<const std::uint16_t*>(numbers) + g,
                      type);
}

// total + (w_scale * sum + w_bias * x_sum) * x_scale
HWY_INLINE hn::Vec<Eight> add_terms(hn::Vec<EightSums> sums,
                                    hn::Vec<Eight> w_scale,
                                    hn::Vec<Eight> w_bias, const float* x_sums,
                                    const float* x_scales,
                                    hn::Vec<Eight> total) {
  const Eight df;
  const auto bias = hn::Mul(w_bias, hn::LoadU(df, x_sums));
  const auto term = hn::MulAdd(w_scale, hn::ConvertTo(df, sums), bias);
  return hn::MulAdd(term, hn::LoadU(df, x_scales), total);
}

// Partial sums of a row of weights with up to four tokens.
using RowPartials = float[4][kPartials];

// partials[row][t][g % 8] for kTokens activations from `token` on: over the
// groups the sums of (w_scale * sum + w_bias * x_sum) * x_scale. Reads whole
// sets of eight groups; activations past the row's end are zero.
template <int kBits, std::size_t kGroupBlocks, std::size_t kTokens>
void multiply_rows(const RowBlock& rows, const Int16Activations& a,
                   std::size_t token, RowPartials* partials) {
  const Eight df;
  using Set = SetShape<kBits, kGroupBlocks>;
  const auto* first_x = a.values.as<std::int16_t>() + token * a.stride();
  const float* x_scales = a.scales.as<float>() + token * a.n_padded;
  const float* x_sums = a.sums.as<float>() + token * a.n_padded;
  for (std::size_t row = 0; row < rows.n_rows; ++row) {
    const std::uint8_t* codes = rows.codes + row * rows.code_stride;
    const std::uint8_t* scales = rows.scales + row * rows.scale_stride;
    const std::uint8_t* biases = rows.biases + row * rows.scale_stride;
    const std::int16_t* x = first_x;
    hn::Vec<Eight> totals[kTokens][kEightParts];
    for (std::size_t t = 0; t < kTokens; ++t)
      for (std::size_t p = 0; p < kEightParts; ++p) totals[t][p] = hn::Zero(df);
    for (std::size_t g = 0; g < a.n_groups; g += kPartials) {
      hn::Vec<EightSums> sums[kTokens][kEightParts];
      eight_sums<kBits, kGroupBlocks>(codes, x, a.stride(), sums);
      for (std::size_t i = 0; i < Set::kBytes; i += 64)
        // Into the second-level cache: the first has fewer reads under way.
        __builtin_prefetch(codes + kPrefetchBytes + i, 0, 2);
      codes += Set::kBytes;
      x += Set::kBytes * 8 / kBits;
      for (std::size_t p = 0; p < kEightParts; ++p) {
        const std::size_t at = g + p * hn::MaxLanes(df);
        auto w_scale = load_scales(scales, rows.scale_type, at);
        auto w_bias = load_scales(biases, rows.scale_type, at);
        if (HWY_UNLIKELY(at + hn::MaxLanes(df) > a.n_groups)) {
          // What lies past the row's end may be no number.
          const auto own =
              hn::FirstN(df, a.n_groups - std::min(at, a.n_groups));
          w_scale = hn::IfThenElseZero(own, w_scale);
          w_bias = hn::IfThenElseZero(own, w_bias);
        }
        for (std::size_t t = 0; t < kTokens; ++t) {
          const std::size_t x_at = t * a.n_padded + at;
          totals[t][p] = add_terms(sums[t][p], w_scale, w_bias, x_sums + x_at,
                                   x_scales + x_at, totals[t][p]);
        }
      }
    }
    for (std::size_t t = 0; t < kTokens; ++t) {
      for (std::size_t p = 0; p < kEightParts; ++p)
        hn::Store(totals[t][p], df, partials[row][t] + p * hn::MaxLanes(df));
    }
  }
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // SKUA_KERNELS_CPU_INT16_ROWS_INL_H
