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

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

// The sum of group g goes to partial sum g % kPartials, so that any kernel
// which walks the groups in order rounds alike.
constexpr std::size_t kPartials = 8;
using Eight = hn::CappedTag<float, kPartials>;
constexpr std::size_t kEightParts = kPartials / hn::MaxLanes(Eight());

// Groups, filled up with zeros to whole sets of partial sums.
inline std::size_t padded_groups(std::size_t n_groups) {
  return (n_groups + kPartials - 1) / kPartials * kPartials;
}

// values = round(x / scale) with scale = max |x| / 32767; returns the scale
// and adds the values up in `sum`. What is not finite makes the scale so.
inline float quantise_group(const float* x, std::size_t n, std::int16_t* values,
                            float* sum) {
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
  const auto factor = hn::Set(df, usable ? 32767 / max : 0);
  auto total = hn::Zero(di32);
  for (std::size_t i = 0; i < n; i += lanes) {
    const auto v = usable ? hn::LoadU(df, x + i) : hn::Zero(df);
    const auto whole = hn::NearestInt(hn::Mul(v, factor));
    total = hn::Add(total, whole);
    hn::StoreU(hn::DemoteTo(di16, whole), di16, values + i);
  }
  *sum = static_cast<float>(hn::GetLane(hn::SumOfLanes(di32, total)));
  return usable ? max / 32767 : zero;
}

// Where a row's scales and biases are. Behind the row's own as many may be
// read as fill up a set of partial sums.
struct RowScales {
  Float type = Float::kF32;
  const std::uint8_t* scales = nullptr;
  const std::uint8_t* biases = nullptr;
};

template <Float kType>
hn::Vec<Eight> load_scales(const std::uint8_t* scales, std::size_t g) {
  const Eight df;
  if constexpr (kType == Float::kF32) {
    return hn::LoadU(df, reinterpret_cast<const float*>(scales) + g);
  } else {
    return widen_vector(df, reinterpret_cast<const std::uint16_t*>(scales) + g,
                        kType);
  }
}

// One row for one token: sum over the groups of
// (w_scale * sum + w_bias * x_sum) * x_scale. The activations' arrays are
// filled up with zeros, the sums with anything.
template <Float kType>
HWY_INLINE float join_groups(const std::int32_t* sums, const RowScales& w,
                             const float* x_scales, const float* x_sums,
                             std::size_t n_groups) {
  const Eight df;
  const hn::RebindToSigned<Eight> di;
  constexpr std::size_t kLanes = hn::MaxLanes(Eight());
  hn::Vec<Eight> partials[kEightParts];
  for (auto& partial : partials) partial = hn::Zero(df);
  const auto add = [&](std::size_t g, const auto& kept) {
    for (std::size_t p = 0; p < kEightParts; ++p) {
      const std::size_t at = g + p * kLanes;
      const auto sum = hn::ConvertTo(df, hn::LoadU(di, sums + at));
      const auto bias = hn::Mul(kept(at, load_scales<kType>(w.biases, at)),
                                hn::LoadU(df, x_sums + at));
      const auto term =
          hn::MulAdd(kept(at, load_scales<kType>(w.scales, at)), sum, bias);
      partials[p] = hn::MulAdd(term, hn::LoadU(df, x_scales + at), partials[p]);
    }
  };
  std::size_t g = 0;
  for (; g + kPartials <= n_groups; g += kPartials)
    add(g, [](std::size_t, auto v) { return v; });
  if (g < n_groups) {
    add(g, [&](std::size_t at, auto v) {
      const std::size_t n = at < n_groups ? n_groups - at : 0;
      return hn::IfThenElseZero(hn::FirstN(df, n), v);
    });
  }
  float a[kPartials];
  for (std::size_t p = 0; p < kEightParts; ++p)
    hn::StoreU(partials[p], df, a + p * kLanes);
  return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

inline float join_groups(const std::int32_t* sums, const RowScales& w,
                         const float* x_scales, const float* x_sums,
                         std::size_t n_groups) {
  if (w.type == Float::kF16)
    return join_groups<Float::kF16>(sums, w, x_scales, x_sums, n_groups);
  if (w.type == Float::kBF16)
    return join_groups<Float::kBF16>(sums, w, x_scales, x_sums, n_groups);
  return join_groups<Float::kF32>(sums, w, x_scales, x_sums, n_groups);
}

// sums[i] = sums[2 i] + sums[2 i + 1] for i < n.
inline void add_pairs(std::int32_t* sums, std::size_t n) {
  const hn::RebindToSigned<Eight> di;
  const std::size_t lanes = hn::Lanes(di);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto low = hn::LoadU(di, sums + 2 * i);
    const auto high = hn::LoadU(di, sums + 2 * i + lanes);
    hn::StoreU(
        hn::Add(hn::ConcatEven(di, high, low), hn::ConcatOdd(di, high, low)),
        di, sums + i);
  }
  for (; i < n; ++i) sums[i] = sums[2 * i] + sums[2 * i + 1];
}

// Codes of a row in kernel_bits() bits: in place where the matrix stores them
// so, else unpacked to bytes. The 4-bit floats become whole numbers from 0 to
// 24: twice their value, plus 12.
inline const std::uint8_t* row_codes(const MatrixView& w, std::size_t row,
                                     bool in_place, std::uint8_t* room) {
  const std::uint8_t* values = w.values + row * w.row_bytes();
  if (in_place || w.bits == 8) return values;
  unpack(w.bits, values, w.n_cols, room);
  if (w.encoding != Encoding::kAffine) {
    static constexpr std::uint8_t kCodes[16] = {12, 13, 14, 15, 16, 18, 20, 24,
                                                12, 11, 10, 9,  8,  6,  4,  0};
    for (std::size_t i = 0; i < w.n_cols; ++i) room[i] = kCodes[room[i]];
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

// In place where the matrix holds them as numbers and enough follows, else in
// `room` for twice padded_groups(n_groups) numbers.
inline RowScales row_scales(const MatrixView& w, std::size_t row, float* room) {
  const std::size_t n_groups = w.n_groups();
  const std::size_t padded = padded_groups(n_groups);
  if (w.encoding == Encoding::kAffine &&
      row * n_groups + padded <= w.n_rows * n_groups) {
    const std::size_t offset = row * n_groups * float_bytes(w.float_type);
    return {w.float_type, w.scales + offset, w.biases + offset};
  }
  widen_row_scales(w, row, room, room + padded);
  return {Float::kF32, reinterpret_cast<const std::uint8_t*>(room),
          reinterpret_cast<const std::uint8_t*>(room + padded)};
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // SKUA_KERNELS_CPU_INT16_SUMS_INL_H
