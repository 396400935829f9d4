#include "kernels/cpu/attention_panel.h"

// clang-format off: foreach_target comes before all that it repeats.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_panel.cpp"
#include <hwy/foreach_target.h>

#include <hwy/highway.h>
#include "kernels/cpu/attention_numbers-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

constexpr std::size_t kPairNumbers = 2 * kLane;
constexpr std::size_t kStep = AttentionPanel::kStep;

using Words = hn::Rebind<std::uint32_t, Floats>;
using WordVector = hn::Vec<Words>;

// Bits of x whose upper half is x as bfloat16.
template <KvType kType>
HWY_INLINE WordVector rounded(Vector x) {
  const Words d32;
  const WordVector bits = hn::BitCast(d32, x);
  // These are stored in as few bits.
  if constexpr (kType == KvType::kBf16 || kType == KvType::kInt8) return bits;
  const WordVector odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1));
  const WordVector nearest = hn::Add(hn::Add(bits, hn::Set(d32, 0x7fff)), odd);
  // The sum must not carry into the sign.
  return hn::IfThenElse(hn::RebindMask(d32, hn::IsNaN(x)),
                        hn::Set(d32, 0x7fc00000), nearest);
}

HWY_INLINE void store_pairs(WordVector even, WordVector odd,
                            std::uint16_t* out) {
  const Words d32;
  const WordVector upper = hn::And(odd, hn::Set(d32, 0xffff0000));
  hn::StoreU(hn::Or(hn::ShiftRight<16>(even), upper), d32,
             reinterpret_cast<std::uint32_t*>(out));
}

template <KvType kType>
void pack_keys(const Numbers& keys, Range blocks, std::size_t d,
               std::uint16_t* out) {
  const std::size_t n_padded = (d + kStep - 1) / kStep * kStep;
  for (std::size_t b = blocks.begin; b < blocks.end; ++b) {
    std::uint16_t* to = out + b * n_padded * kLane;
    for (std::size_t i = 0; i < n_padded; i += 2, to += kPairNumbers) {
      for (std::size_t part = 0; part < kVectors; ++part) {
        WordVector even = hn::Zero(Words()), odd = even;
        if (i < d) even = rounded<kType>(load_keys<kType>(keys, b, i, d, part));
        if (i + 1 < d)
          odd = rounded<kType>(load_keys<kType>(keys, b, i + 1, d, part));
        store_pairs(even, odd, to + 2 * part * kLanes);
      }
    }
  }
}

// Returns whether all values are finite.
template <KvType kType>
bool pack_values(const Numbers& values, Range slots, std::size_t n_strips,
                 std::uint16_t* out) {
  const Floats df;
  Vector nothing = hn::Zero(df);  // NaN once a number is not finite
  const auto load = [&](std::size_t strip, std::size_t slot, std::size_t part) {
    if (slot < slots.begin || slot >= slots.end) return hn::Zero(Words());
    const WordVector x =
        rounded<kType>(load_values<kType>(values, strip, slot, part));
    nothing = hn::MulAdd(hn::BitCast(df, x), hn::Zero(df), nothing);
    return x;
  };
  const std::size_t begin = slots.begin / kStep * kStep;
  for (std::size_t strip = 0; strip < n_strips; ++strip) {
    std::uint16_t* to = out + (strip * kPage + begin) * kLane;
    for (std::size_t j = begin; j < slots.end || j % kStep != 0; j += 2) {
      for (std::size_t part = 0; part < kVectors; ++part) {
        store_pairs(load(strip, j, part), load(strip, j + 1, part),
                    to + 2 * part * kLanes);
      }
      to += kPairNumbers;
    }
  }
  return hn::AllTrue(df, hn::Eq(nothing, hn::Zero(df)));
}

template <KvType kType>
bool pack_typed(const KvShape& shape, const KvHead& head, Range slots,
                std::uint16_t* keys, std::uint16_t* values) {
  pack_keys<kType>({head.keys, head.key_scales},
                   {slots.begin / kLane, (slots.end + kLane - 1) / kLane},
                   shape.key_dim, keys);
  return pack_values<kType>({head.values, head.value_scales}, slots,
                            shape.n_strips(), values);
}

bool pack_panel(const KvShape& shape, const KvHead& head, Range slots,
                std::uint16_t* keys, std::uint16_t* values) {
  switch (shape.type) {
    case KvType::kF32:
      return pack_typed<KvType::kF32>(shape, head, slots, keys, values);
    case KvType::kBf16:
      return pack_typed<KvType::kBf16>(shape, head, slots, keys, values);
    case KvType::kF16:
      return pack_typed<KvType::kF16>(shape, head, slots, keys, values);
    case KvType::kInt8:
      return pack_typed<KvType::kInt8>(shape, head, slots, keys, values);
    case KvType::kInt4:
      return pack_typed<KvType::kInt4>(shape, head, slots, keys, values);
  }
  return false;
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua::cpu {

HWY_EXPORT(pack_panel);

void AttentionPanel::load(const KvShape& shape, const KvHead& head,
                          Range slots) {
  const auto make_room = [](AlignedBuffer& room, std::size_t n) {
    const std::size_t n_bytes = n * sizeof(std::uint16_t);
    if (room.size() < n_bytes) room = AlignedBuffer(n_bytes);
  };
  n_key_steps_ = key_steps(shape);
  make_room(keys_, kPage * n_key_steps_ * kStep);
  make_room(values_, kPage * shape.n_strips() * kLane);
  is_finite_ = HWY_DYNAMIC_DISPATCH(pack_panel)(shape, head, slots,
                                                keys_.as<std::uint16_t>(),
                                                values_.as<std::uint16_t>());
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
