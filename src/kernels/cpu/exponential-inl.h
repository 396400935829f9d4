// e^x for what is summed afterwards, as attention and sampling do.
// Included once for each instruction set by way of hwy/foreach_target.h.
#if defined(SKUA_KERNELS_CPU_EXPONENTIAL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SKUA_KERNELS_CPU_EXPONENTIAL_INL_H
#undef SKUA_KERNELS_CPU_EXPONENTIAL_INL_H
#else
#define SKUA_KERNELS_CPU_EXPONENTIAL_INL_H
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// e^x for x <= 0 or NaN, to 2 units in the last place; 0 below -86.6, where
// the result is nearly subnormal. Polynomial: Cephes, expf.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exponential(D df, V x) {
  const hn::Rebind<std::int32_t, D> di;
  const auto tiny = hn::Lt(x, hn::Set(df, -86.6f));
  const V n = hn::Round(hn::Mul(x, hn::Set(df, 1.44269504f)));
  V r = hn::NegMulAdd(n, hn::Set(df, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(df, -2.12194440e-4f), r);
  V y = hn::Set(df, 1.9875691500e-4f);
  for (const float factor : {1.3981999507e-3f, 8.3334519073e-3f,
                             4.1665795894e-2f, 1.6666665459e-1f, 0.5f})
    y = hn::MulAdd(y, r, hn::Set(df, factor));
  y = hn::Add(hn::MulAdd(y, hn::Mul(r, r), r), hn::Set(df, 1.0f));
  const auto exponent = hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127));
  // A product, which is NaN where y is.
  const V power = hn::BitCast(df, hn::ShiftLeft<23>(exponent));
  return hn::IfThenZeroElse(tiny, hn::Mul(y, power));
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
