// 16-bit fixed-point activations and what turns whole-number sums over a group
// of columns into float32. Included once for each instruction set.
#if defined(SKUA_KERNELS_CPU_INT16_SUMS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SKUA_KERNELS_CPU_INT16_SUMS_INL_H
#undef SKUA_KERNELS_CPU_INT16_SUMS_INL_H
#else
#define SKUA_KERNELS_CPU_INT16_SUMS_INL_H
#endif

#include <cfloat>
#include <utility>

#include "kernels/cpu/decode-inl.h"
#include "kernels/cpu/int16_activations.h"

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

using Eight = hn::CappedTag<float, kPartials>;
constexpr std::size_t kEightParts = kPartials / hn::MaxLanes(Eight());

// values = round(x / scale) with scale = max |x| / max_fixed; returns the scale
// and adds the values up in `sum`. What is not finite makes the scale so.
inline float quantise_group(const float* x, std::size_t n, int max_fixed,
                            std::int16_t* values, float* sum) {
  const hn::CappedTag<float, 16> df;
  const hn::RebindToSigned<decltype(df)> di32;
  const hn::Rebind<std::int16_t, decltype(df)> di16;
  const std::size_t lanes = hn::Lanes(df);
  auto most = hn::Zero(df), zeros = hn::Zero(df);
  for (std::size_t i = 0; i < n; i += lanes) {
    const auto v = hn::LoadU(df, x + i);
    most = hn::Max(most, hn::Abs(v));
    zeros = hn::MulAdd(v, hn::Zero(df), zeros);
  }
  const float max = hn::GetLane(hn::MaxOfLanes(df, most));
  const float zero = hn::GetLane(hn::SumOfLanes(df, zeros));
  // Smaller numbers have no exact reciprocal of their scale.
  const bool usable = max > FLT_MIN * 65536 && zero == 0;
  const auto factor =
      hn::Set(df, usable ? static_cast<float>(max_fixed) / max : 0);
  auto total = hn::Zero(di32);
  for (std::size_t i = 0; i < n; i += lanes) {
    const auto v = usable ? hn::LoadU(df, x + i) : hn::Zero(df);
    const auto whole = hn::NearestInt(hn::Mul(v, factor));
    total = hn::Add(total, whole);
    hn::StoreU(hn::DemoteTo(di16, whole), di16, values + i);
  }
  *sum = static_cast<float>(hn::GetLane(hn::SumOfLanes(di32, total)));
  return usable ? max / static_cast<float>(max_fixed) : zero;
}

// What the kernels take for the codes of 4 bits. The 4-bit floats become whole
// numbers from 0 to 24: twice their value, plus 12.
inline const std::uint8_t* codes_4bit(const MatrixView& w) {
  alignas(16) static constexpr std::uint8_t kAffine[16] = {
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  alignas(16) static constexpr std::uint8_t kFloats[16] = {
      12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};
  return w.encoding == Encoding::kAffine ? kAffine : kFloats;
}

// Codes of a row as a kernel reads them: in place where the matrix stores them
// so, else unpacked to bytes.
inline const std::uint8_t* row_codes(const MatrixView& w, std::size_t row,
                                     bool in_place, std::uint8_t* room) {
  const std::uint8_t* values = w.values + row * w.row_bytes();
  if (in_place || w.bits == 8) return values;
  unpack(w.bits, values, w.n_cols, room);
  if (w.encoding != Encoding::kAffine) {
    const std::uint8_t* codes = codes_4bit(w);
    for (std::size_t i = 0; i < w.n_cols; ++i) room[i] = codes[room[i]];
  }
  return room;
}

// Scales and biases of a row's groups as float32.
inline void widen_row_scales(const MatrixView& w, std::size_t row,
                             float* scales, float* biases) {
  const std::size_t n_groups = w.n_groups();
  if (w.encoding == Encoding::kAffine) {
    const std::size_t offset = row * n_groups * float_bytes(w.float_type);
    widen(w.scales + offset, w.float_type, n_groups, scales);
    widen(w.biases + offset, w.float_type, n_groups, biases);
    return;
  }
  const FloatTables& tables = float_tables();
  const float* values =
      w.encoding == Encoding::kNvfp4 ? tables.e4m3 : tables.e8m0;
  for (std::size_t g = 0; g < n_groups; ++g) {
    scales[g] = 0.5f * values[w.scales[row * n_groups + g]];
    biases[g] = -12 * scales[g];
  }
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // SKUA_KERNELS_CPU_INT16_SUMS_INL_H
