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
void unpack_row(const MatrixView&, std::size_t, std::uint8_t*) {}
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

void unpack_row(const MatrixView& w, std::size_t row, std::uint8_t* out) {
  const std::uint8_t* codes = row_codes(w, row, false, out);
  if (codes != out) std::memcpy(out, codes, w.n_cols);
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

void code_row(const MatrixView& w, std::size_t row, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(unpack_row)(w, row, out);
}

void scale_rows(const MatrixView& w, std::size_t first_row, std::size_t n_rows,
                float* scales, float* biases) {
  // They follow each other, as those of one long row.
  const std::size_t before =
      first_row * w.n_groups() *
      (w.encoding == Encoding::kAffine ? float_bytes(w.float_type) : 1);
  MatrixView row = w;
  row.scales += before;
  if (row.biases != nullptr) row.biases += before;
  row.n_rows = 1;
  row.n_cols *= n_rows;
  HWY_DYNAMIC_DISPATCH(unpack_scales)(row, 0, scales, biases);
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
