// Keys and values as attention reads them out of a page.
// Included once for each instruction set by way of hwy/foreach_target.h.
#if defined(SKUA_KERNELS_CPU_ATTENTION_NUMBERS_INL_H) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef SKUA_KERNELS_CPU_ATTENTION_NUMBERS_INL_H
#undef SKUA_KERNELS_CPU_ATTENTION_NUMBERS_INL_H
#else
#define SKUA_KERNELS_CPU_ATTENTION_NUMBERS_INL_H
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kv_pages.h"

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, kLane>;
using Vector = hn::Vec<Floats>;

constexpr std::size_t kLanes = hn::MaxLanes(Floats());
constexpr std::size_t kVectors = kLane / kLanes;  // of 16 numbers
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
  std::uintptr_t ahead = 0;  // bytes to the page read next

  const float* section(std::size_t i) const { return scales + i * 2 * kPage; }
};

// The sections of d numbers that are scaled alike.
template <KvType kType>
constexpr std::size_t section_of(std::size_t d) {
  return kType == KvType::kInt4 ? kSection : d;
}

// Vector `part` of number i of a block of 16 keys, but for the scales of int8.
template <KvType kType>
HWY_INLINE Vector load_keys(const Numbers& keys, std::size_t block,
                            std::size_t i, std::size_t d, std::size_t part) {
  const Vector x = load<kType>(keys.at, (block * d + i) * kLane, part);
  if constexpr (kType != KvType::kInt4) return x;
  const Floats df;
  const float* scales =
      keys.section(i / kSection) + block * kLane + part * kLanes;
  return hn::MulAdd(x, hn::LoadU(df, scales), hn::LoadU(df, scales + kPage));
}

// The same of a slot of a strip of 16 columns of values.
template <KvType kType>
HWY_INLINE Vector load_values(const Numbers& values, std::size_t strip,
                              std::size_t slot, std::size_t part) {
  const Vector x = load<kType>(values.at, (strip * kPage + slot) * kLane, part);
  if constexpr (kType != KvType::kInt4) return x;
  const Floats df;
  const float* scales = values.section(strip * kLane / kSection) + slot;
  return hn::MulAdd(x, hn::Set(df, scales[0]), hn::Set(df, scales[kPage]));
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
