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
// As many as there are registers for.
constexpr std::size_t kPanelTokens = HWY_MAX_BYTES == 64 ? 8 : 6;

// A lane of 32 bits holds codes of kValueBits, 16 or 8, side by side, to be
// multiplied by as many activations of that size.
template <int kValueBits>
constexpr std::size_t kLaneCodes = 32 / kValueBits;

// Where the first lane of a token's activations lies; the next one comes
// kPanelTokens later, for a tile of tokens lies side by side.
template <int kValueBits>
const std::int32_t* panel_lanes(const Int16Activations& a, std::size_t token) {
  const std::size_t n_lanes = a.stride() / kLaneCodes<kValueBits>;
  return a.values.as<std::int32_t>() +
         token / kPanelTokens * n_lanes * kPanelTokens + token % kPanelTokens;
}
template <int kValueBits>
std::int32_t* panel_lanes(Int16Activations& a, std::size_t token) {
  return const_cast<std::int32_t*>(
      panel_lanes<kValueBits>(std::as_const(a), token));
}

// A 32-bit word of packed weights becomes lanes: the lowest field of each of
// its kLaneCodes parts, then the next ones. Activations follow.
template <int kBits, class Value>
void arrange_for_panel(const std::int16_t* in, std::size_t n_cols,
                       std::int32_t* out) {
  constexpr int kValueBits = sizeof(Value) * 8;
  constexpr std::size_t kLanes = kValueBits / kBits;
  constexpr std::size_t kCodes = kLaneCodes<kValueBits>;
  for (std::size_t word = 0; word < n_cols; word += kLanes * kCodes) {
    for (std::size_t f = 0; f < kLanes; ++f, out += kPanelTokens) {
      Value lane[kCodes];
      for (std::size_t i = 0; i < kCodes; ++i)
        lane[i] = static_cast<Value>(in[word + i * kLanes + f]);
      std::memcpy(out, lane, sizeof lane);
    }
  }
}

using PanelWords = hn::RebindToUnsigned<Words>;

// Four words of each kLaneRows rows: those of rows 0, 4, 8, ... side by side.
template <class D>
HWY_INLINE hn::Vec<D> load_fours(D d, const std::uint8_t* const* rows,
                                 std::size_t word) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    return hn::LoadU(
        d, reinterpret_cast<const std::uint32_t*>(rows[0] + 4 * word));
  } else {
    const hn::Half<D> half;
    return hn::Combine(d, load_fours(half, rows + hn::MaxLanes(half), word),
                       load_fours(half, rows, word));
  }
}

// lanes[f][row] = field f of each row's word, as arrange_for_panel() has it.
template <int kBits, int kValueBits>
HWY_INLINE void unpack_word(hn::Vec<PanelWords> word, std::int32_t* lanes) {
  constexpr std::uint32_t kOnes = kValueBits == 16 ? 0x10001u : 0x1010101u;
  constexpr std::uint32_t kMask = ((1u << kBits) - 1) * kOnes;
  [&]<std::size_t... f>(std::index_sequence<f...>) {
    (hn::StoreU(
         hn::BitCast(Words(), hn::And(hn::ShiftRight<int(f) * kBits>(word),
                                      hn::Set(PanelWords(), kMask))),
         Words(), lanes + f * kPanelRows),
     ...);
  }(std::make_index_sequence<kValueBits / kBits>());
}

// panel[lane][row] = the codes of the lane, of kPanelRows rows of words.
template <int kBits, int kValueBits>
void unpack_words(const std::uint8_t* const* rows, std::size_t n_words,
                  std::int32_t* panel) {
  constexpr std::size_t kWordLanes = kValueBits / kBits * kPanelRows;
  const PanelWords d;
  const hn::RepartitionToWide<PanelWords> d64;
  for (std::size_t r = 0; r < kPanelRows; r += kLaneRows) {
    std::int32_t* lanes = panel + r;
    const auto unpack = [&](auto word) {
      unpack_word<kBits, kValueBits>(hn::BitCast(d, word), lanes);
      lanes += kWordLanes;
    };
    std::size_t i = 0;
    for (; i + 4 <= n_words; i += 4) {
      const auto row = [&](std::size_t at) {
        return load_fours(d, rows + r + at, i);
      };
      const auto v0 = row(0), v1 = row(1), v2 = row(2), v3 = row(3);
      const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d, v0, v1));
      const auto high01 = hn::BitCast(d64, hn::InterleaveUpper(d, v0, v1));
      const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d, v2, v3));
      const auto high23 = hn::BitCast(d64, hn::InterleaveUpper(d, v2, v3));
      unpack(hn::InterleaveLower(d64, low01, low23));
      unpack(hn::InterleaveUpper(d64, low01, low23));
      unpack(hn::InterleaveLower(d64, high01, high23));
      unpack(hn::InterleaveUpper(d64, high01, high23));
    }
    for (; i < n_words; ++i) {
      std::uint32_t words[kLaneRows];
      for (std::size_t row = 0; row < kLaneRows; ++row)
        std::memcpy(words + row, rows[r + row] + 4 * i, sizeof words[row]);
      unpack(hn::LoadU(d, words));
    }
  }
}

// Scales and biases of one group for all rows of the panel.
struct GroupScales {
  float scales[kPanelRows];
  float biases[kPanelRows];
};

struct PanelTokens {
  const std::int32_t* lanes;  // of the first token and group
  const float* scales;
  const float* sums;
  std::size_t group_stride;
};

// Keeps v in one register: GCC would read it again for each use, or copy it.
template <class V>
HWY_INLINE void hold([[maybe_unused]] V& v) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_EMU128
  asm("" : "+v"(v.raw));
#endif
}

// Sums of codes times activations, a lane each.
template <int kValueBits>
class LaneSums;

template <>
class LaneSums<16> {
 public:
  HWY_INLINE LaneSums() : sums_(hn::Zero(Words())) {}

  HWY_INLINE void add(hn::Vec<Words> codes, hn::Vec<Words> x) {
#if HWY_TARGET <= HWY_AVX3_DL
    // The target that Highway 1.0.3 sets has no name for this instruction.
    asm("vpdpwssd %2, %1, %0" : "+v"(sums_.raw) : "v"(codes.raw), "v"(x.raw));
#elif HWY_ARCH_X86 && HWY_TARGET != HWY_EMU128
    const hn::Repartition<std::int16_t, Words> d16;
    const auto none = hn::Zero(Words());
    auto rest = none;
    sums_ = hn::Add(
        sums_, hn::ReorderWidenMulAccumulate(Words(), hn::BitCast(d16, codes),
                                             hn::BitCast(d16, x), none, rest));
    hold(sums_);
#else
    const auto low = [](hn::Vec<Words> v) {
      return hn::ShiftRight<16>(hn::ShiftLeft<16>(v));
    };
    const auto high = [](hn::Vec<Words> v) { return hn::ShiftRight<16>(v); };
    sums_ = hn::Add(sums_, hn::Add(hn::Mul(low(codes), low(x)),
                                   hn::Mul(high(codes), high(x))));
#endif
  }

  HWY_INLINE hn::Vec<Words> total() const { return sums_; }

 private:
  hn::Vec<Words> sums_;
};

// Without VNNI eight sums of two products with codes of 4 bits fit 16 bits: a
// group of 32 columns.
template <>
class LaneSums<8> {
 public:
  HWY_INLINE LaneSums() : sums_(hn::Zero(TermSums())) {}

  HWY_INLINE void add(hn::Vec<Words> codes, hn::Vec<Words> x) {
    sums_ = add_bytes(hn::BitCast(Bytes(), codes),
                      hn::BitCast(SignedBytes(), x), sums_);
    hold(sums_);
  }

  HWY_INLINE hn::Vec<Words> total() const {
#if HWY_TARGET <= HWY_AVX3_DL
    return sums_;
#else
    const Words d;
    auto rest = hn::Zero(d);
    const auto sums = hn::ReorderWidenMulAccumulate(
        d, sums_, hn::Set(Shorts(), 1), hn::Zero(d), rest);
    return hn::RearrangeToOddPlusEven(sums, rest);
#endif
  }

 private:
  hn::Vec<TermSums> sums_;
};

// Adds one group's products to partial sums [kTokens][kPartials][kPanelRows],
// of which `partials` points to those of the group.
template <std::size_t kTokens, int kValueBits>
HWY_INLINE void add_group(const std::int32_t* panel, std::size_t n_lanes,
                          const GroupScales& group, const PanelTokens& x,
                          float* partials) {
  const Words d32;
  const Floats df;
  LaneSums<kValueBits> sums[kTokens][2];
  const std::int32_t* end = panel + n_lanes * kPanelRows;
  const std::int32_t* lanes = x.lanes;
  do {
    auto w0 = hn::LoadU(d32, panel), w1 = hn::LoadU(d32, panel + kLaneRows);
    hold(w0);
    hold(w1);
    for (std::size_t t = 0; t < kTokens; ++t) {
      const auto lane = hn::Set(d32, lanes[t]);
      sums[t][0].add(w0, lane);
      sums[t][1].add(w1, lane);
    }
    panel += kPanelRows;
    lanes += kPanelTokens;
  } while (panel != end);
  for (std::size_t t = 0; t < kTokens; ++t) {
    const auto x_scale = hn::Set(df, x.scales[t * x.group_stride]);
    const auto x_sum = hn::Set(df, x.sums[t * x.group_stride]);
    for (std::size_t v = 0; v < 2; ++v) {
      const std::size_t row = v * kLaneRows;
      const auto bias = hn::Mul(hn::LoadU(df, group.biases + row), x_sum);
      const auto term = hn::MulAdd(hn::LoadU(df, group.scales + row),
                                   hn::ConvertTo(df, sums[t][v].total()), bias);
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
