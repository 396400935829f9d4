#include <algorithm>
#include <memory>

#include "base/thread_pool.h"
#include "kernels/cpu/int16_activations.h"
#include "kernels/cpu/linear_input.h"

// clang-format off: foreach_target comes before all that it repeats.
#define HWY_WANT_AVX3_DL  // for VNNI
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear_int16.cpp"
#include <hwy/foreach_target.h>

#include <hwy/highway.h>
// clang-format on

#if HWY_TARGET != HWY_SCALAR
#include "kernels/cpu/int16_panel-inl.h"
#endif

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR

bool has_kernel() {
  return false;
}
bool multiplies_bytes(const MatrixView&) {
  return false;
}
void round_activations(const float*, Range, Int16Activations&) {}
void multiply(const MatrixView&, const Int16Activations&, Range, Range, float*,
              std::size_t) {}

#else

bool has_kernel() {
  return true;
}

// Activations of 8 bits: the codes that add_bytes() takes.
bool multiplies_bytes(const MatrixView& w) {
  return kWideBytes || (w.encoding == Encoding::kAffine && w.bits <= 4);
}

// Writes a token's numbers where the kernels read them.
void arrange(const std::int16_t* in, std::size_t token, Int16Activations& a) {
  const auto with_bits = [&]<int kBits>(std::integral_constant<int, kBits>) {
    if (!a.layout.panel) {
      arrange_for_rows<kBits>(in, a.stride(),
                              a.values.as<std::int16_t>() + token * a.stride());
    } else if (a.layout.value_bits == 8) {
      arrange_for_panel<kBits, std::int8_t>(in, a.stride(),
                                            panel_lanes<8>(a, token));
    } else {
      arrange_for_panel<kBits, std::int16_t>(in, a.stride(),
                                             panel_lanes<16>(a, token));
    }
  };
  if (a.layout.bits == 2) return with_bits(std::integral_constant<int, 2>());
  if (a.layout.bits == 4) return with_bits(std::integral_constant<int, 4>());
  with_bits(std::integral_constant<int, 8>());
}

void round_activations(const float* x, Range tokens, Int16Activations& a) {
  thread_local std::vector<std::int16_t> values;
  values.assign(a.stride(), 0);
  const std::size_t group = a.layout.group_size;
  for (std::size_t t = tokens.begin; t < tokens.end; ++t) {
    float* scales = a.scales.as<float>() + t * a.n_padded;
    float* sums = a.sums.as<float>() + t * a.n_padded;
    std::fill_n(scales, a.n_padded, 0.0f);
    std::fill_n(sums, a.n_padded, 0.0f);
    for (std::size_t g = 0; g < a.n_groups; ++g) {
      scales[g] = quantise_group(x + t * a.n_cols + g * group, group,
                                 max_fixed(a.layout.value_bits),
                                 values.data() + g * group, sums + g);
    }
    arrange(values.data(), t, a);
  }
}

// Partial sums are joined so many rows later, so that nothing waits for them.
constexpr std::size_t kBlockRows = 8;

// Blocks of rows as multiply_rows() reads them: in place, but where the matrix
// is stored otherwise or the last row would be read past its end.
template <int kBits>
class RowReader {
 public:
  RowReader(const MatrixView& w, const Int16Activations& a)
      : w_(w),
        codes_in_place_(w.encoding == Encoding::kAffine && w.bits == kBits),
        n_code_bytes_(a.stride() * kBits / 8),
        n_padded_(a.n_padded) {}

  RowBlock block(std::size_t first, std::size_t n_rows) {
    RowBlock rows;
    rows.n_rows = n_rows;
    set_codes(first, rows);
    set_scales(first, rows);
    return rows;
  }

 private:
  void set_codes(std::size_t first, RowBlock& rows) {
    const std::size_t row_bytes = w_.row_bytes();
    if (codes_in_place_ &&
        fits(first + rows.n_rows, row_bytes, n_code_bytes_)) {
      rows.codes = w_.values + first * row_bytes;
      rows.code_stride = row_bytes;
      return;
    }
    codes_.resize(kBlockRows * n_code_bytes_);
    for (std::size_t i = 0; i < rows.n_rows; ++i) {
      std::uint8_t* room = codes_.data() + i * n_code_bytes_;
      const std::uint8_t* codes =
          row_codes(w_, first + i, codes_in_place_, room);
      if (codes != room) std::memcpy(room, codes, row_bytes);
    }
    rows.codes = codes_.data();
    rows.code_stride = n_code_bytes_;
  }

  void set_scales(std::size_t first, RowBlock& rows) {
    const std::size_t size = float_bytes(w_.float_type);
    const std::size_t row_bytes = w_.n_groups() * size;
    if (w_.encoding == Encoding::kAffine &&
        fits(first + rows.n_rows, row_bytes, n_padded_ * size)) {
      rows.scale_type = w_.float_type;
      rows.scales = w_.scales + first * row_bytes;
      rows.biases = w_.biases + first * row_bytes;
      rows.scale_stride = row_bytes;
      return;
    }
    scales_.resize(2 * kBlockRows * n_padded_);
    float* scales = scales_.data();
    float* biases = scales + kBlockRows * n_padded_;
    for (std::size_t i = 0; i < rows.n_rows; ++i) {
      widen_row_scales(w_, first + i, scales + i * n_padded_,
                       biases + i * n_padded_);
    }
    rows.scales = reinterpret_cast<const std::uint8_t*>(scales);
    rows.biases = reinterpret_cast<const std::uint8_t*>(biases);
    rows.scale_stride = n_padded_ * sizeof(float);
  }

  // True if n_read bytes of the row before `end` are the matrix's.
  bool fits(std::size_t end, std::size_t row_bytes, std::size_t n_read) const {
    return (end - 1) * row_bytes + n_read <= w_.n_rows * row_bytes;
  }

  const MatrixView& w_;
  bool codes_in_place_;
  std::size_t n_code_bytes_;
  std::size_t n_padded_;
  std::vector<std::uint8_t> codes_;
  std::vector<float> scales_;
};

template <int kBits, std::size_t kGroupBlocks>
void multiply_by_rows(const MatrixView& w, const Int16Activations& a,
                      Range rows, Range tokens, float* y, std::size_t stride) {
  alignas(64) RowPartials partials[kBlockRows];
  RowReader<kBits> reader(w, a);
  for (std::size_t r = rows.begin; r < rows.end; r += kBlockRows) {
    const std::size_t n_rows = std::min(kBlockRows, rows.end - r);
    const RowBlock block = reader.block(r, n_rows);
    for (std::size_t t = tokens.begin; t < tokens.end;) {
      const std::size_t left = tokens.end - t;
      const std::size_t n_tokens = left >= 4 ? 4 : left >= 2 ? 2 : 1;
      const auto multiply =
          n_tokens == 4   ? multiply_rows<kBits, kGroupBlocks, 4>
          : n_tokens == 2 ? multiply_rows<kBits, kGroupBlocks, 2>
                          : multiply_rows<kBits, kGroupBlocks, 1>;
      multiply(block, a, t, partials);
      for (std::size_t k = 0; k < n_tokens; ++k) {
        float* out = y + (t + k - tokens.begin) * stride + r - rows.begin;
        for (std::size_t i = 0; i < n_rows; ++i)
          out[i] = join_partials(partials[i][k]);
      }
      t += n_tokens;
    }
  }
}

template <int kBits>
void multiply_by_rows(const MatrixView& w, const Int16Activations& a,
                      Range rows, Range tokens, float* y, std::size_t stride) {
  const auto with_blocks =
      [&]<std::size_t kBlocks>(std::integral_constant<std::size_t, kBlocks>) {
        multiply_by_rows<kBits, kBlocks>(w, a, rows, tokens, y, stride);
      };
  // Groups have 128 columns at most.
  switch (a.layout.group_size * kBits / 8 / kBlockBytes) {
    case 1:
      return with_blocks(std::integral_constant<std::size_t, 1>());
    case 2:
      return with_blocks(std::integral_constant<std::size_t, 2>());
    case 4:
      if constexpr (kBits >= 4)
        return with_blocks(std::integral_constant<std::size_t, 4>());
      break;
    case 8:
      if constexpr (kBits == 8)
        return with_blocks(std::integral_constant<std::size_t, 8>());
      break;
  }
}

// The panel's rows, ready to be unpacked group by group.
class Panel {
 public:
  // Rows past the end repeat the last one; nobody reads their results. Each of
  // the n_groups of the activations takes the scales of w's that it is in.
  void load(const MatrixView& w, bool in_place, std::size_t n_groups,
            Range rows) {
    codes_.resize(kPanelRows * w.n_cols);
    scales_.resize(n_groups);
    row_scales_.resize(2 * w.n_groups());
    const std::size_t repeat = n_groups / w.n_groups();
    for (std::size_t i = 0; i < kPanelRows; ++i) {
      const std::size_t row = std::min(rows.begin + i, rows.end - 1);
      rows_[i] = row_codes(w, row, in_place, codes_.data() + i * w.n_cols);
      widen_row_scales(w, row, row_scales_.data(),
                       row_scales_.data() + w.n_groups());
      GroupScales* group = scales_.data();
      for (std::size_t g = 0; g < w.n_groups(); ++g) {
        for (std::size_t k = 0; k < repeat; ++k, ++group) {
          group->scales[i] = row_scales_[g];
          group->biases[i] = row_scales_[w.n_groups() + g];
        }
      }
    }
  }

  // Columns [begin, end) as lanes.
  template <int kBits, int kValueBits>
  const std::int32_t* unpack_columns(Range columns) {
    const std::size_t n_words = (columns.end - columns.begin) * kBits / 32;
    lanes_.resize((columns.end - columns.begin) / kLaneCodes<kValueBits> *
                  kPanelRows);
    const std::uint8_t* at[kPanelRows];
    for (std::size_t i = 0; i < kPanelRows; ++i)
      at[i] = rows_[i] + columns.begin * kBits / 8;
    unpack_words<kBits, kValueBits>(at, n_words, lanes_.data());
    return lanes_.data();
  }

  const GroupScales* groups() const { return scales_.data(); }

 private:
  const std::uint8_t* rows_[kPanelRows];
  std::vector<std::uint8_t> codes_;
  std::vector<GroupScales> scales_;
  std::vector<float> row_scales_;
  std::vector<std::int32_t> lanes_;
};

template <std::size_t kTokens, int kValueBits>
void add_groups(const GroupScales* scales, const std::int32_t* lanes,
                const Int16Activations& a, Range groups, std::size_t token,
                float* partials) {
  const std::size_t n_lanes = a.layout.group_size / kLaneCodes<kValueBits>;
  const std::int32_t* of_token = panel_lanes<kValueBits>(a, token);
  for (std::size_t g = groups.begin; g < groups.end; ++g) {
    const std::size_t at = token * a.n_padded + g;
    const PanelTokens x{of_token + g * n_lanes * kPanelTokens,
                        a.scales.as<float>() + at, a.sums.as<float>() + at,
                        a.n_padded};
    add_group<kTokens, kValueBits>(
        lanes + (g - groups.begin) * n_lanes * kPanelRows, n_lanes, scales[g],
        x, partials + g % kPartials * kPanelRows);
  }
}

template <int kBits, int kValueBits>
void multiply_panel(const MatrixView& w, const Int16Activations& a, Range rows,
                    Range tokens, float* y, std::size_t stride) {
  thread_local Panel panel;
  thread_local std::vector<float> partials;
  panel.load(w, w.encoding == Encoding::kAffine && w.bits == kBits, a.n_groups,
             rows);
  constexpr std::size_t kTokenFloats = kPartials * kPanelRows;
  partials.assign((tokens.end - tokens.begin) * kTokenFloats, 0.0f);
  for (std::size_t g = 0; g < a.n_groups; g += kPartials) {
    const Range groups{g, std::min(g + kPartials, a.n_groups)};
    const std::size_t size = a.layout.group_size;
    const std::int32_t* lanes = panel.unpack_columns<kBits, kValueBits>(
        {groups.begin * size, groups.end * size});
    std::size_t t = tokens.begin;
    float* out = partials.data();
    const auto add_tiles =
        [&]<std::size_t kTokens>(std::integral_constant<std::size_t, kTokens>) {
          for (; t + kTokens <= tokens.end; t += kTokens) {
            add_groups<kTokens, kValueBits>(panel.groups(), lanes, a, groups, t,
                                            out);
            out += kTokens * kTokenFloats;
          }
        };
    add_tiles(std::integral_constant<std::size_t, kPanelTokens>());
    add_tiles(std::integral_constant<std::size_t, 2>());
    add_tiles(std::integral_constant<std::size_t, 1>());
  }
  for (std::size_t t = tokens.begin; t < tokens.end; ++t) {
    join_panel(partials.data() + (t - tokens.begin) * kTokenFloats, rows.size(),
               y + (t - tokens.begin) * stride);
  }
}

template <int kBits>
void multiply_by(const MatrixView& w, const Int16Activations& a, Range rows,
                 Range tokens, float* y, std::size_t stride) {
  if (!a.layout.panel)
    return multiply_by_rows<kBits>(w, a, rows, tokens, y, stride);
  for (std::size_t r = rows.begin; r < rows.end; r += kPanelRows) {
    const auto multiply = a.layout.value_bits == 8 ? multiply_panel<kBits, 8>
                                                   : multiply_panel<kBits, 16>;
    multiply(w, a, {r, std::min(r + kPanelRows, rows.end)}, tokens,
             y + (r - rows.begin), stride);
  }
}

void multiply(const MatrixView& w, const Int16Activations& a, Range rows,
              Range tokens, float* y, std::size_t stride) {
  if (a.layout.bits == 2) return multiply_by<2>(w, a, rows, tokens, y, stride);
  if (a.layout.bits == 4) return multiply_by<4>(w, a, rows, tokens, y, stride);
  multiply_by<8>(w, a, rows, tokens, y, stride);
}

#endif  // HWY_SCALAR

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua::cpu {

HWY_EXPORT(has_kernel);
HWY_EXPORT(multiplies_bytes);
HWY_EXPORT(round_activations);
HWY_EXPORT(multiply);

namespace {

// Fewer do not pay for the unpacking.
constexpr std::size_t kMinPanelTokens = 16;

// Columns that share a scale when activations have 8 bits.
constexpr std::size_t kByteGroup = 32;

Int16Layout layout_for(const MatrixView& w, bool panel) {
  Int16Layout layout;
  layout.group_size = static_cast<std::size_t>(w.group_size);
  layout.panel = panel;
  if (w.precision == Precision::kFast && panel &&
      HWY_DYNAMIC_DISPATCH(multiplies_bytes)(w)) {
    layout.value_bits = 8;
    layout.group_size = std::min(layout.group_size, kByteGroup);
  }
  const bool whole_fields = w.bits == 2 || w.bits == 4 || w.bits == 8;
  // A group may not end inside a 16-byte block of codes.
  if (w.encoding == Encoding::kAffine && whole_fields &&
      w.group_size % (128 / w.bits) == 0)
    layout.bits = w.bits;
  return layout;
}

Int16Activations make_activations(const Int16Layout& layout, const float* x,
                                  std::size_t n_tokens, std::size_t n_cols) {
  Int16Activations a;
  a.layout = layout;
  a.n_cols = n_cols;
  a.n_groups = n_cols / layout.group_size;
  a.n_padded = padded_groups(a.n_groups);
  // The last tile of tokens may have to be filled up.
  constexpr std::size_t kMostPanelTokens = 8;
  const std::size_t n_rows = n_tokens + (layout.panel ? kMostPanelTokens : 0);
  a.values = AlignedBuffer(n_rows * a.stride() * sizeof(std::int16_t));
  a.scales = AlignedBuffer(n_tokens * a.n_padded * sizeof(float));
  a.sums = AlignedBuffer(n_tokens * a.n_padded * sizeof(float));
  constexpr std::size_t kTokensPerTask = 8;
  const auto round = [&](std::size_t chunk) {
    const std::size_t first = chunk * kTokensPerTask;
    HWY_DYNAMIC_DISPATCH(round_activations)
    (x, {first, std::min(first + kTokensPerTask, n_tokens)}, a);
  };
  if (n_tokens <= kTokensPerTask)
    round(0);
  else
    parallel_for((n_tokens + kTokensPerTask - 1) / kTokensPerTask, round);
  return a;
}

class Int16Input final : public LinearInput {
 public:
  Int16Input(const MatrixView& w, const float* x, std::size_t n_tokens)
      : panel_(n_tokens >= kMinPanelTokens),
        activations_(
            make_activations(layout_for(w, panel_), x, n_tokens, w.n_cols)) {}

  bool serves(const MatrixView& w) const override {
    return w.precision != Precision::kExact && has_int16_kernel(w) &&
           layout_for(w, panel_) == activations_.layout;
  }

  // A panel's unpacking pays the more, the more tokens it is for.
  PieceSize piece() const override {
    return {64, panel_ ? 2 * kTokensPerChunk : kTokensPerChunk};
  }

  void multiply(const MatrixView& w, Range rows, Range tokens, float* out,
                std::size_t stride) const override {
    HWY_DYNAMIC_DISPATCH(multiply)
    (w, activations_, rows, tokens, out, stride);
  }

 private:
  bool panel_;
  Int16Activations activations_;
};

}  // namespace

bool has_int16_kernel(const MatrixView& w) {
  return w.encoding != Encoding::kDense && w.encoding != Encoding::kMxfp8 &&
         HWY_DYNAMIC_DISPATCH(has_kernel)();
}

const char* int16_kernel_name(const MatrixView& w, std::size_t n_tokens) {
  if (n_tokens < kMinPanelTokens) return "int16 rows";
  return layout_for(w, true).value_bits == 8 ? "int8 panel" : "int16 panel";
}

std::unique_ptr<LinearInput> int16_input(const MatrixView& w, const float* x,
                                         std::size_t n_tokens) {
  return std::make_unique<Int16Input>(w, x, n_tokens);
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
