#include <algorithm>

#include "kernels/cpu/vocabulary.h"

// clang-format off: foreach_target comes before all that it repeats.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/vocabulary_select.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/vocabulary-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A vector is stored whole behind what is kept: that never reaches over what
// was read.
template <bool kWithIds, bool kWithMore>
Kept select_as(const Columns& from, std::size_t n, LogitRange range,
               const KeptColumns& to) {
  const Floats df;
  const hn::Rebind<std::int32_t, Floats> di;
  const Vector least = hn::Set(df, range.least);
  const Vector below = hn::Set(df, range.below);
  const Vector none_low = hn::Set(df, past_all());
  const Vector none_high = hn::Set(df, -past_all());
  const auto first_ids = hn::Iota(di, 0);
  Vector low = none_low, high = none_high;
  std::size_t n_kept = 0, i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vector v = hn::LoadU(df, from.x + i);
    const auto in = hn::And(hn::Ge(v, least), hn::Lt(v, below));
    if (hn::AllFalse(df, in)) continue;
    const auto offset = from.first_id + static_cast<std::int32_t>(i);
    const auto id = kWithIds ? hn::LoadU(di, from.ids + i)
                             : hn::Add(first_ids, hn::Set(di, offset));
    low = hn::Min(low, hn::IfThenElse(in, v, none_low));
    high = hn::Max(high, hn::IfThenElse(in, v, none_high));
    if constexpr (kWithMore) {
      const Vector more = hn::LoadU(df, from.more + i);
      hn::StoreU(hn::Compress(more, in), df, to.more + n_kept);
    }
    hn::StoreU(hn::Compress(v, in), df, to.x + n_kept);
    hn::StoreU(hn::Compress(id, hn::RebindMask(di, in)), di, to.ids + n_kept);
    n_kept += hn::CountTrue(df, in);
  }
  Kept kept{n_kept, -most_of(hn::Neg(low)), most_of(high)};
  for (; i < n; ++i) {
    const float v = from.x[i];
    if (!(v >= range.least && v < range.below)) continue;
    if constexpr (kWithMore) to.more[kept.n] = from.more[i];
    to.ids[kept.n] =
        kWithIds ? from.ids[i] : from.first_id + static_cast<std::int32_t>(i);
    to.x[kept.n++] = v;
    kept.least = std::min(kept.least, v);
    kept.most = std::max(kept.most, v);
  }
  return kept;
}

Kept select_body(const Columns& from, std::size_t n, LogitRange range,
                 const KeptColumns& to) {
  if (from.ids == nullptr) {
    return from.more == nullptr ? select_as<false, false>(from, n, range, to)
                                : select_as<false, true>(from, n, range, to);
  }
  return from.more == nullptr ? select_as<true, false>(from, n, range, to)
                              : select_as<true, true>(from, n, range, to);
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua::cpu {

HWY_EXPORT(select_body);

Kept select(const Columns& from, std::size_t n, LogitRange range,
            const KeptColumns& to) {
  return HWY_DYNAMIC_DISPATCH(select_body)(from, n, range, to);
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
