// Products of packed weight rows with many 16-bit activations: rows side by
// side in the lanes of a panel that is unpacked once for a block of tokens.
// Included once for each instruction set by way of hwy/foreach_target.h.
#if defined(SKUA_KERNELS_CPU_INT16_PANEL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SKUA_KERNELS_CPU_INT16_PANEL_INL_H
#undef SKUA_KERNELS_CPU_INT16_PANEL_INL_H
#else
#define SKUA_KERNELS_CPU_INT16_PANEL_INL_H
#endif

#include "kernels/cpu/int16_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

using Words = hn::ScalableTag<std::int32_t>;

constexpr std::size_t kLaneRows = hn::MaxLanes(Words());
constexpr std::size_t kPanelRows = 2 * kLaneRows;
constexpr std::size_t kBlockTokens = 128;
// As many as there are registers for.
constexpr std::size_t kTileTokens = HWY_MAX_BYTES == 64 ? 8 : 4;

// A 32-bit word of packed weights has kFields pairs: the fields of its lower
// half, each with the same field of the upper half. Activations follow.
template <int kBits>
void arrange_for_panel(const std::int16_t* in, std::size_t n_cols,
                       std::int16_t* out) {
  constexpr std::size_t kFields = fields(kBits);
  for (std::size_t word = 0; word < n_cols; word += 2 * kFields) {
    for (std::size_t f = 0; f < kFields; ++f) {
      out[word + 2 * f] = in[word + f];
      out[word + 2 * f + 1] = in[word + f + kFields];
    }
  }
}

// words[i][row] = word i of each of the panel's rows.
inline void transpose_words(const std::uint8_t* const* rows,
                            std::size_t n_words, std::uint32_t* words) {
  const hn::CappedTag<std::uint32_t, 4> d32;
  const hn::RepartitionToWide<decltype(d32)> d64;
  for (std::size_t r = 0; r < kPanelRows; r += 4) {
    for (std::size_t i = 0; i + 4 <= n_words; i += 4) {
      const auto load = [&](std::size_t row) {
        return hn::LoadU(d32,
                         reinterpret_cast<const std::uint32_t*>(rows[row]) + i);
      };
      const auto a = load(r), b = load(r + 1), c = load(r + 2), d = load(r + 3);
      const auto ab_low = hn::BitCast(d64, hn::InterleaveLower(d32, a, b));
      const auto ab_high = hn::BitCast(d64, hn::InterleaveUpper(d32, a, b));
      const auto cd_low = hn::BitCast(d64, hn::InterleaveLower(d32, c, d));
      const auto cd_high = hn::BitCast(d64, hn::InterleaveUpper(d32, c, d));
      const auto store = [&](std::size_t word, auto v) {
        hn::StoreU(hn::BitCast(d32, v), d32, words + word * kPanelRows + r);
      };
      store(i, hn::InterleaveLower(d64, ab_low, cd_low));
      store(i + 1, hn::InterleaveUpper(d64, ab_low, cd_low));
      store(i + 2, hn::InterleaveLower(d64, ab_high, cd_high));
      store(i + 3, hn::InterleaveUpper(d64, ab_high, cd_high));
    }
    for (std::size_t i = n_words / 4 * 4; i < n_words; ++i)
      for (std::size_t row = r; row < r + 4; ++row)
        std::memcpy(words + i * kPanelRows + row, rows[row] + 4 * i, 4);
  }
}

// panel[pair][row] = the two codes of the pair.
template <int kBits>
void unpack_words(const std::uint32_t* words, std::size_t n_words,
                  std::int32_t* panel) {
  constexpr std::size_t kFields = fields(kBits);
  constexpr std::uint32_t kMask = ((1u << kBits) - 1) * 0x10001u;
  const hn::RebindToUnsigned<Words> du;
  for (std::size_t i = 0; i < n_words; ++i) {
    for (std::size_t v = 0; v < kPanelRows; v += kLaneRows) {
      const auto word = hn::LoadU(du, words + i * kPanelRows + v);
      std::int32_t* out = panel + i * kFields * kPanelRows + v;
      [&]<std::size_t... kField>(std::index_sequence<kField...>) {
        (hn::StoreU(
             hn::BitCast(Words(),
                         hn::And(hn::ShiftRight<int(kField) * kBits>(word),
                                 hn::Set(du, kMask))),
             Words(), out + kField * kPanelRows),
         ...);
      }(std::make_index_sequence<kFields>());
    }
  }
}

// Scales and biases of one group for all rows of the panel.
struct GroupScales {
  float scales[kPanelRows];
  float biases[kPanelRows];
};

struct PanelTokens {
  const std::int32_t* pairs;  // of the first token and group
  std::size_t pair_stride;    // from token to token
  const float* scales;
  const float* sums;
  std::size_t group_stride;
};

// Keeps v in one register: GCC would read it again for each use, or copy it.
HWY_INLINE void hold([[maybe_unused]] hn::Vec<Words>& v) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_EMU128
  asm("" : "+v"(v.raw));
#endif
}

// Pairs of codes times a pair of activations.
HWY_INLINE hn::Vec<Words> add_pairs(hn::Vec<Words> codes, hn::Vec<Words> x,
                                    hn::Vec<Words> sums) {
#if HWY_TARGET <= HWY_AVX3_DL
  // The target that Highway 1.0.3 sets has no name for this instruction.
  asm("vpdpwssd %2, %1, %0" : "+v"(sums.raw) : "v"(codes.raw), "v"(x.raw));
  return sums;
#elif HWY_ARCH_X86 && HWY_TARGET != HWY_EMU128
  const hn::Repartition<std::int16_t, Words> d16;
  const auto none = hn::Zero(Words());
  auto rest = none;
  sums = hn::Add(
      sums, hn::ReorderWidenMulAccumulate(Words(), hn::BitCast(d16, codes),
                                          hn::BitCast(d16, x), none, rest));
  hold(sums);
  return sums;
#else
  const auto low = [](hn::Vec<Words> v) {
    return hn::ShiftRight<16>(hn::ShiftLeft<16>(v));
  };
  const auto high = [](hn::Vec<Words> v) { return hn::ShiftRight<16>(v); };
  return hn::Add(sums, hn::Add(hn::Mul(low(codes), low(x)),
                               hn::Mul(high(codes), high(x))));
#endif
}

// Adds one group's products to partial sums [kTokens][kPartials][kPanelRows],
// of which `partials` points to those of the group.
template <std::size_t kTokens>
HWY_INLINE void add_group(const std::int32_t* panel, std::size_t n_pairs,
                          const GroupScales& group, const PanelTokens& x,
                          float* partials) {
  const Words d32;
  const Floats df;
  hn::Vec<Words> sums[kTokens][2];
  for (auto& of_token : sums)
    for (auto& sum : of_token) sum = hn::Zero(d32);
  const std::int32_t* end = panel + n_pairs * kPanelRows;
  const std::int32_t* pairs = x.pairs;
  do {
    auto w0 = hn::LoadU(d32, panel), w1 = hn::LoadU(d32, panel + kLaneRows);
    hold(w0);
    hold(w1);
    for (std::size_t t = 0; t < kTokens; ++t) {
      const auto pair = hn::Set(d32, pairs[t * x.pair_stride]);
      sums[t][0] = add_pairs(w0, pair, sums[t][0]);
      sums[t][1] = add_pairs(w1, pair, sums[t][1]);
    }
    panel += kPanelRows;
    ++pairs;
  } while (panel != end);
  for (std::size_t t = 0; t < kTokens; ++t) {
    const auto x_scale = hn::Set(df, x.scales[t * x.group_stride]);
    const auto x_sum = hn::Set(df, x.sums[t * x.group_stride]);
    for (std::size_t v = 0; v < 2; ++v) {
      const std::size_t row = v * kLaneRows;
      const auto bias = hn::Mul(hn::LoadU(df, group.biases + row), x_sum);
      const auto term = hn::MulAdd(hn::LoadU(df, group.scales + row),
                                   hn::ConvertTo(df, sums[t][v]), bias);
      float* out = partials + t * kPartials * kPanelRows + row;
      hn::StoreU(hn::MulAdd(term, x_scale, hn::LoadU(df, out)), df, out);
    }
  }
}

// y[row] = the partial sums joined as join_partials() does.
inline void join_panel(const float* partials, std::size_t n_rows, float* y) {
  const Floats df;
  float joined[kPanelRows];
  for (std::size_t row = 0; row < kPanelRows; row += kLaneRows) {
    const auto a = [&](std::size_t i) {
      return hn::LoadU(df, partials + i * kPanelRows + row);
    };
    const auto low = hn::Add(hn::Add(a(0), a(4)), hn::Add(a(2), a(6)));
    const auto high = hn::Add(hn::Add(a(1), a(5)), hn::Add(a(3), a(7)));
    hn::StoreU(hn::Add(low, high), df, joined + row);
  }
  std::copy_n(joined, n_rows, y);
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // SKUA_KERNELS_CPU_INT16_PANEL_INL_H
