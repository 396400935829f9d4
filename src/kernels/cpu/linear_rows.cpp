#include "kernels/cpu/linear_rows.h"

// clang-format off: foreach_target comes before all that it repeats.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear_rows.cpp"
#include <hwy/foreach_target.h>

#include <hwy/highway.h>
// clang-format on

#if HWY_TARGET != HWY_SCALAR
#include "kernels/cpu/int16_sums-inl.h"
#endif

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

// Better targets have lower numbers.
bool is_avx512() {
  return HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3;
}

#if HWY_TARGET == HWY_SCALAR

void round_groups(const float*, std::size_t, std::size_t, std::int16_t*, float*,
                  float*) {}
void unpack_row(const MatrixView&, std::size_t, std::size_t, std::uint8_t*,
                std::size_t) {}
void unpack_scales(const MatrixView&, std::size_t, float*, float*) {}

#else

void round_groups(const float* x, std::size_t n_cols, std::size_t group_size,
                  std::int16_t* values, float* scales, float* sums) {
  for (std::size_t g = 0; g < n_cols / group_size; ++g) {
    const std::size_t at = g * group_size;
    scales[g] = quantise_group(x + at, group_size, max_fixed(16), values + at,
                               sums + g);
  }
}

// Of each kHalf bytes the lower halves before the upper ones.
template <std::size_t kHalf>
void split_nibbles(const std::uint8_t* in, std::size_t n_bytes,
                   const std::uint8_t* codes, std::uint8_t* out,
                   std::size_t stride) {
  const hn::CappedTag<std::uint8_t, kHalf> d;
  const auto table = hn::LoadDup128(d, codes);
  const auto low_half = hn::Set(d, 15);
  for (std::size_t at = 0; at < n_bytes; at += kHalf, out += stride) {
    for (std::size_t i = 0; i < kHalf; i += hn::Lanes(d)) {
      const auto both = hn::LoadU(d, in + at + i);
      const auto low = hn::And(both, low_half);
      const auto high = hn::ShiftRight<4>(both);
      hn::StoreU(hn::TableLookupBytes(table, low), d, out + i);
      hn::StoreU(hn::TableLookupBytes(table, high), d, out + kHalf + i);
    }
  }
}

void unpack_row(const MatrixView& w, std::size_t row, std::size_t n_step,
                std::uint8_t* out, std::size_t stride) {
  if (splits_columns(w)) {
    const auto split = n_step == 64 ? split_nibbles<32> : split_nibbles<16>;
    return split(w.values + row * w.row_bytes(), w.row_bytes(), codes_4bit(w),
                 out, stride);
  }
  thread_local std::vector<std::uint8_t> room;
  room.resize(w.n_cols);
  const std::uint8_t* codes = row_codes(w, row, false, room.data());
  for (std::size_t i = 0; i < w.n_cols; i += n_step, out += stride)
    std::memcpy(out, codes + i, n_step);
}

void unpack_scales(const MatrixView& w, std::size_t row, float* scales,
                   float* biases) {
  widen_row_scales(w, row, scales, biases);
}

#endif  // HWY_SCALAR

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua::cpu {

HWY_EXPORT(is_avx512);
HWY_EXPORT(round_groups);
HWY_EXPORT(unpack_row);
HWY_EXPORT(unpack_scales);

bool runs_avx512() {
  return HWY_DYNAMIC_DISPATCH(is_avx512)();
}

void round_row(const float* x, std::size_t n_cols, std::size_t group_size,
               std::int16_t* values, float* scales, float* sums) {
  HWY_DYNAMIC_DISPATCH(round_groups)
  (x, n_cols, group_size, values, scales, sums);
}

void code_row(const MatrixView& w, std::size_t row, std::size_t n_step,
              std::uint8_t* out, std::size_t stride) {
  HWY_DYNAMIC_DISPATCH(unpack_row)(w, row, n_step, out, stride);
}

void scale_row(const MatrixView& w, std::size_t row, float* scales,
               float* biases) {
  HWY_DYNAMIC_DISPATCH(unpack_scales)(w, row, scales, biases);
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
