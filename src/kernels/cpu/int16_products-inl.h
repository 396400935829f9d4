// Products of one vector of packed codes with 16-bit activations, exact in
// 32-bit lanes. Included once for each instruction set by way of
// hwy/foreach_target.h.
#if defined(SKUA_KERNELS_CPU_INT16_PRODUCTS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SKUA_KERNELS_CPU_INT16_PRODUCTS_INL_H
#undef SKUA_KERNELS_CPU_INT16_PRODUCTS_INL_H
#else
#define SKUA_KERNELS_CPU_INT16_PRODUCTS_INL_H
#endif

#include <type_traits>

#include "kernels/cpu/int16_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

using Shorts = hn::ScalableTag<std::int16_t>;
using Sums = hn::RepartitionToWide<Shorts>;
using Bytes = hn::Repartition<std::uint8_t, Shorts>;
using SignedBytes = hn::Repartition<std::int8_t, Shorts>;

// True if add_bytes() takes codes of any 8 bits; else 16-bit lanes hold eight
// sums of two products with codes of 4 bits.
constexpr bool kWideBytes = HWY_TARGET <= HWY_AVX3_DL;

// True where activations are taken apart, x = 256 high + low, into signed
// bytes, twice as many of which fit a vector.
template <int kBits>
constexpr bool kTwoTerms = kBits < 8 || kWideBytes;

// Columns that one 16-bit word of packed weights holds.
constexpr std::size_t fields(int bits) {
  return 16 / static_cast<std::size_t>(bits);
}

// The order in which Products reads activations: vector by vector of codes,
// in it field by field; of two terms the high bytes come first.
template <int kBits>
void arrange_for_rows(const std::int16_t* in, std::size_t n_cols,
                      std::int16_t* out) {
  if constexpr (kTwoTerms<kBits>) {
    constexpr std::size_t kFields = fields(kBits) / 2;
    constexpr std::size_t kLanes = hn::MaxLanes(Bytes());
    auto* bytes = reinterpret_cast<std::int8_t*>(out);
    for (std::size_t c = 0; c < n_cols; c += kLanes * kFields) {
      for (std::size_t f = 0; f < kFields; ++f, bytes += 2 * kLanes) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
          const std::int16_t x = in[c + lane * kFields + f];
          const auto low = static_cast<std::int8_t>(x);
          bytes[lane] = static_cast<std::int8_t>((x - low) / 256);
          bytes[kLanes + lane] = low;
        }
      }
    }
  } else {
    constexpr std::size_t kFields = fields(kBits);
    constexpr std::size_t kLanes = hn::MaxLanes(Shorts());
    for (std::size_t c = 0; c < n_cols; c += kLanes * kFields) {
      for (std::size_t f = 0; f < kFields; ++f)
        for (std::size_t lane = 0; lane < kLanes; ++lane)
          out[c + f * kLanes + lane] = in[c + lane * kFields + f];
    }
  }
}

// Calls body(field, n) for each field of a vector of packed codes.
template <int kBits, class D, class Body>
HWY_INLINE void for_fields(D d, const std::uint8_t* packed, const Body& body) {
  const hn::Repartition<std::uint16_t, D> du16;
  const auto words =
      hn::LoadU(du16, reinterpret_cast<const std::uint16_t*>(packed));
  const auto mask = hn::Set(d, static_cast<hn::TFromD<D>>((1u << kBits) - 1));
  constexpr std::size_t kFields = sizeof(hn::TFromD<D>) * 8 / kBits;
  [&]<std::size_t... f>(std::index_sequence<f...>) {
    (body(hn::And(hn::BitCast(d, hn::ShiftRight<int(f) * kBits>(words)), mask),
          f),
     ...);
  }(std::make_index_sequence<kFields>());
}

// Sums of codes times activations.
template <int kBits, bool = kTwoTerms<kBits>>
class Products {
 public:
  HWY_INLINE Products() : sums_(hn::Zero(Sums())), rest_(hn::Zero(Sums())) {}

  // x: what arrange_for_rows() wrote for this vector.
  HWY_INLINE void add(hn::Vec<Shorts> field, std::size_t f,
                      const std::int16_t* x) {
    sums_ = hn::ReorderWidenMulAccumulate(
        Sums(), field, hn::LoadU(Shorts(), x + f * hn::MaxLanes(Shorts())),
        sums_, rest_);
  }

  // A 16-byte block of codes ends in four lanes.
  HWY_INLINE hn::Vec<Sums> total() const {
    return hn::RearrangeToOddPlusEven(sums_, rest_);
  }

 private:
  hn::Vec<Sums> sums_, rest_;
};

#if HWY_TARGET <= HWY_AVX3_DL
using TermSums = Sums;
HWY_INLINE hn::Vec<TermSums> add_bytes(hn::Vec<Bytes> codes,
                                       hn::Vec<SignedBytes> x,
                                       hn::Vec<TermSums> sums) {
  // The target that Highway 1.0.3 sets has no name for this instruction.
  asm("vpdpbusd %2, %1, %0" : "+v"(sums.raw) : "v"(codes.raw), "vm"(x.raw));
  return sums;
}
HWY_INLINE hn::Vec<Sums> join_terms(hn::Vec<TermSums> high,
                                    hn::Vec<TermSums> low) {
  return hn::Add(hn::ShiftLeft<8>(high), low);
}
#else
using TermSums = Shorts;
HWY_INLINE hn::Vec<TermSums> add_bytes(hn::Vec<Bytes> codes,
                                       hn::Vec<SignedBytes> x,
                                       hn::Vec<TermSums> sums) {
  const Shorts d;
#if HWY_TARGET == HWY_AVX3
  const hn::Vec<Shorts> two{_mm512_maddubs_epi16(codes.raw, x.raw)};
#elif HWY_TARGET == HWY_AVX2
  const hn::Vec<Shorts> two{_mm256_maddubs_epi16(codes.raw, x.raw)};
#elif HWY_TARGET == HWY_SSE4
  const hn::Vec<Shorts> two{_mm_maddubs_epi16(codes.raw, x.raw)};
#else
  const auto code = hn::BitCast(d, codes), byte = hn::BitCast(d, x);
  const auto two =
      hn::Add(hn::Mul(hn::And(code, hn::Set(d, 255)),
                      hn::ShiftRight<8>(hn::ShiftLeft<8>(byte))),
              hn::Mul(hn::ShiftRight<8>(code), hn::ShiftRight<8>(byte)));
#endif
  return hn::Add(sums, two);
}
HWY_INLINE hn::Vec<Sums> join_terms(hn::Vec<TermSums> high,
                                    hn::Vec<TermSums> low) {
  const Sums d;
  auto rest = hn::Zero(d);
  auto sums = hn::ReorderWidenMulAccumulate(d, low, hn::Set(Shorts(), 1),
                                            hn::Zero(d), rest);
  sums = hn::ReorderWidenMulAccumulate(d, high, hn::Set(Shorts(), 256), sums,
                                       rest);
  return hn::RearrangeToOddPlusEven(sums, rest);
}
#endif

template <int kBits>
class Products<kBits, true> {
 public:
  HWY_INLINE Products()
      : high_(hn::Zero(TermSums())), low_(hn::Zero(TermSums())) {}

  HWY_INLINE void add(hn::Vec<Bytes> field, std::size_t f,
                      const std::int16_t* x) {
    constexpr std::size_t kLanes = hn::MaxLanes(Bytes());
    const auto* bytes =
        reinterpret_cast<const std::int8_t*>(x) + f * 2 * kLanes;
    high_ = add_bytes(field, hn::LoadU(SignedBytes(), bytes), high_);
    low_ = add_bytes(field, hn::LoadU(SignedBytes(), bytes + kLanes), low_);
  }

  HWY_INLINE hn::Vec<Sums> total() const { return join_terms(high_, low_); }

 private:
  hn::Vec<TermSums> high_, low_;
};

template <int kBits>
using CodeLanes = std::conditional_t<kTwoTerms<kBits>, Bytes, Shorts>;

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // SKUA_KERNELS_CPU_INT16_PRODUCTS_INL_H
