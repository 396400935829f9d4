#include <algorithm>
#include <string>
#include <vector>

#include "kernels/cpu/linear.h"
#include "kernels/cpu/linear_input.h"
#include "skua/error.h"

// clang-format off: foreach_target comes before all that it repeats.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear_exact.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/decode-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

// Dot products of kRows weight rows with kTokens activations, each with one
// accumulator that runs over the columns in order: the same sum for every
// kRows and kTokens. n_cols is a multiple of the vector length.
template <int kRows, int kTokens>
void dot_tile(const float* w, const float* x, std::size_t n_cols, float* y,
              std::size_t y_stride) {
  const Floats df;
  Vector sums[kRows][kTokens];
  for (auto& row : sums)
    for (auto& sum : row) sum = hn::Zero(df);
  for (std::size_t c = 0; c < n_cols; c += hn::Lanes(df)) {
    Vector tokens[kTokens];
    for (int t = 0; t < kTokens; ++t)
      tokens[t] = hn::LoadU(df, x + t * n_cols + c);
    for (int r = 0; r < kRows; ++r) {
      const Vector weights = hn::LoadU(df, w + r * n_cols + c);
      for (int t = 0; t < kTokens; ++t)
        sums[r][t] = hn::MulAdd(weights, tokens[t], sums[r][t]);
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int t = 0; t < kTokens; ++t)
      y[t * y_stride + r] = hn::GetLane(hn::SumOfLanes(df, sums[r][t]));
}

template <int kRows>
void dot_rows(const float* w, const float* x, std::size_t n_tokens,
              std::size_t n_cols, float* y, std::size_t y_stride) {
  std::size_t t = 0;
  for (; t + 3 <= n_tokens; t += 3)
    dot_tile<kRows, 3>(w, x + t * n_cols, n_cols, y + t * y_stride, y_stride);
  for (; t < n_tokens; ++t)
    dot_tile<kRows, 1>(w, x + t * n_cols, n_cols, y + t * y_stride, y_stride);
}

// y[:, first, first + n_rows) for one panel of decoded weight rows.
void multiply_panel(const float* panel, std::size_t n_rows, const float* x,
                    std::size_t n_tokens, std::size_t n_cols, float* y,
                    std::size_t y_stride) {
  std::size_t r = 0;
  if (n_tokens == 1) {
    for (; r + 8 <= n_rows; r += 8)
      dot_tile<8, 1>(panel + r * n_cols, x, n_cols, y + r, y_stride);
  }
  for (; r + 4 <= n_rows; r += 4)
    dot_rows<4>(panel + r * n_cols, x, n_tokens, n_cols, y + r, y_stride);
  for (; r < n_rows; ++r)
    dot_rows<1>(panel + r * n_cols, x, n_tokens, n_cols, y + r, y_stride);
}

// Rows [first, last) of w; x has padded_cols columns, zero past w.n_cols.
void linear_rows(const MatrixView& w, const float* x, std::size_t n_tokens,
                 std::size_t padded_cols, std::size_t first, std::size_t last,
                 float* y, std::size_t y_stride) {
  thread_local DecodeScratch scratch;
  thread_local std::vector<float> panel;
  // As much as the second-level cache keeps beside the activations.
  constexpr std::size_t kPanelFloats = 32 * 1024;
  const std::size_t panel_rows =
      std::clamp<std::size_t>(kPanelFloats / padded_cols / 8 * 8, 8, 32);
  panel.resize(panel_rows * padded_cols);
  for (std::size_t r = first; r < last; r += panel_rows) {
    const std::size_t n_rows = std::min(panel_rows, last - r);
    for (std::size_t i = 0; i < n_rows; ++i) {
      float* out = panel.data() + i * padded_cols;
      decode_row(w, r + i, scratch, out);
      std::fill(out + w.n_cols, out + padded_cols, 0.0f);
    }
    multiply_panel(panel.data(), n_rows, x, n_tokens, padded_cols,
                   y + (r - first), y_stride);
  }
}

void decode_one(const MatrixView& w, std::size_t row, float* out) {
  thread_local DecodeScratch scratch;
  decode_row(w, row, scratch, out);
}

std::size_t vector_floats() {
  return hn::Lanes(Floats());
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua::cpu {

HWY_EXPORT(linear_rows);
HWY_EXPORT(decode_one);
HWY_EXPORT(vector_floats);

namespace {

class ExactInput final : public LinearInput {
 public:
  ExactInput(const float* x, std::size_t n_tokens, std::size_t n_cols) : x_(x) {
    const std::size_t lanes = HWY_DYNAMIC_DISPATCH(vector_floats)();
    padded_cols_ = (n_cols + lanes - 1) / lanes * lanes;
    if (padded_cols_ == n_cols) return;
    padded_.assign(n_tokens * padded_cols_, 0.0f);
    for (std::size_t t = 0; t < n_tokens; ++t)
      std::copy_n(x + t * n_cols, n_cols, padded_.data() + t * padded_cols_);
    x_ = padded_.data();
  }

  bool serves(const MatrixView& w) const override {
    return w.encoding != Encoding::kDense &&
           (w.precision == Precision::kExact || !has_int16_kernel(w));
  }

  void multiply(const MatrixView& w, Range rows, Range tokens, float* out,
                std::size_t stride) const override {
    HWY_DYNAMIC_DISPATCH(linear_rows)
    (w, x_ + tokens.begin * padded_cols_, tokens.size(), padded_cols_,
     rows.begin, rows.end, out, stride);
  }

 private:
  std::size_t padded_cols_ = 0;
  std::vector<float> padded_;
  const float* x_;
};

}  // namespace

std::unique_ptr<LinearInput> exact_input(const float* x, std::size_t n_tokens,
                                         std::size_t n_cols) {
  return std::make_unique<ExactInput>(x, n_tokens, n_cols);
}

void embedding(const MatrixView& w, const std::int32_t* ids, std::size_t n,
               float* out) {
  for (std::size_t i = 0; i < n; ++i) {
    if (ids[i] < 0 || static_cast<std::size_t>(ids[i]) >= w.n_rows) {
      throw InvalidInput("embedding", "token id is " + std::to_string(ids[i]) +
                                          ", expected 0 to " +
                                          std::to_string(w.n_rows - 1));
    }
    HWY_DYNAMIC_DISPATCH(decode_one)
    (w, static_cast<std::size_t>(ids[i]), out + i * w.n_cols);
  }
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
