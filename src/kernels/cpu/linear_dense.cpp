#include <algorithm>
#include <cstring>

#include "base/aligned_buffer.h"
#include "kernels/cpu/linear_input.h"

// clang-format off: foreach_target comes before all that it repeats.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear_dense.cpp"
#include <hwy/foreach_target.h>

#include <hwy/cache_control.h>

#include "kernels/cpu/decode-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

// One order of summation for every kernel here: in each block of columns, lane
// by lane, then the lanes in join_lanes(), then block after block.
constexpr std::size_t kBlockColumns = 512;
// Accumulators for 4 x 3 products and what they need fill 16 registers.
constexpr std::size_t kTileRows = 4;
constexpr std::size_t kTileTokens = 3;
// Rows that stay in the first-level cache while tokens stream past.
constexpr std::size_t kPanelRows = 2 * kTileRows;
// Columns are filled up with zeros to whole strips.
constexpr std::size_t kStripBytes = 64;
// Fewer do not pay for the panel.
constexpr std::size_t kMinPanelTokens = 12;

template <Float kType>
HWY_INLINE Vector load_weights(const std::uint8_t* at) {
  if constexpr (kType == Float::kF32) {
    return hn::LoadU(Floats(), reinterpret_cast<const float*>(at));
  } else {
    return widen_vector(Floats(), reinterpret_cast<const std::uint16_t*>(at),
                        kType);
  }
}

// sums[i] = the sum of v[i]'s lanes.
HWY_INLINE void join_lanes(const Vector (&v)[kTileRows], float* sums) {
#if HWY_TARGET == HWY_SCALAR
  for (std::size_t i = 0; i < kTileRows; ++i) sums[i] = hn::GetLane(v[i]);
#else
  const Floats d;
  const hn::RepartitionToWide<Floats> d64;
  const auto fold = [&](Vector a, Vector b) {
    return hn::BitCast(d64, hn::Add(hn::InterleaveLower(d, a, b),
                                    hn::InterleaveUpper(d, a, b)));
  };
  const auto low = fold(v[0], v[1]), high = fold(v[2], v[3]);
  const auto blocks =
      hn::Add(hn::BitCast(d, hn::InterleaveLower(d64, low, high)),
              hn::BitCast(d, hn::InterleaveUpper(d64, low, high)));
  const auto store = [&]<class V>(const auto& self, auto dv, V sum) {
    if constexpr (hn::MaxLanes(dv) == kTileRows) {
      hn::StoreU(sum, dv, sums);
    } else {
      const hn::Half<decltype(dv)> half;
      self(self, half,
           hn::Add(hn::LowerHalf(half, sum), hn::UpperHalf(half, sum)));
    }
  };
  store(store, d, blocks);
#endif
}

struct Output {
  float* y;  // of the tile's first row and token
  std::size_t stride;
  std::size_t n_rows;
};

// Adds to y the products of four rows and kTokens tokens over n_cols columns,
// whole strips, and fetches what lies `ahead` bytes behind each row's columns.
template <Float kType, std::size_t kTokens>
void add_tile(const std::uint8_t* const* rows, std::size_t ahead,
              const float* x, std::size_t x_stride, std::size_t n_cols,
              const Output& out) {
  const Floats df;
  constexpr std::size_t kStripColumns = kStripBytes / float_bytes(kType);
  const std::uint8_t* r0 = rows[0];
  const std::uint8_t* r1 = rows[1];
  const std::uint8_t* r2 = rows[2];
  const std::uint8_t* r3 = rows[3];
  Vector sums[kTokens][kTileRows];
  for (auto& token : sums)
    for (auto& sum : token) sum = hn::Zero(df);
  for (std::size_t c = 0; c < n_cols; c += kStripColumns) {
    const std::size_t strip = c * float_bytes(kType);
    if (ahead != 0) {
      hwy::Prefetch(r0 + strip + ahead);
      hwy::Prefetch(r1 + strip + ahead);
      hwy::Prefetch(r2 + strip + ahead);
      hwy::Prefetch(r3 + strip + ahead);
    }
    for (std::size_t i = 0; i < kStripColumns; i += hn::Lanes(df)) {
      Vector tokens[kTokens];
      for (std::size_t t = 0; t < kTokens; ++t)
        tokens[t] = hn::LoadU(df, x + t * x_stride + c + i);
      const auto add_row = [&](std::size_t r, const std::uint8_t* row) {
        const Vector weights =
            load_weights<kType>(row + strip + i * float_bytes(kType));
        for (std::size_t t = 0; t < kTokens; ++t)
          sums[t][r] = hn::MulAdd(weights, tokens[t], sums[t][r]);
      };
      add_row(0, r0);
      add_row(1, r1);
      add_row(2, r2);
      add_row(3, r3);
    }
  }
  for (std::size_t t = 0; t < kTokens; ++t) {
    float joined[kTileRows];
    join_lanes(sums[t], joined);
    float* y = out.y + t * out.stride;
    for (std::size_t r = 0; r < out.n_rows; ++r) y[r] += joined[r];
  }
}

template <Float kType>
void add_tiles(const std::uint8_t* const* rows, std::size_t ahead,
               const float* x, std::size_t x_stride, std::size_t n_tokens,
               std::size_t n_cols, Output out) {
  for (std::size_t t = 0; t < n_tokens;) {
    const std::size_t n = std::min(kTileTokens, n_tokens - t);
    const auto add = n == 3   ? add_tile<kType, 3>
                     : n == 2 ? add_tile<kType, 2>
                              : add_tile<kType, 1>;
    add(rows, ahead, x + t * x_stride, x_stride, n_cols, out);
    out.y += n * out.stride;
    t += n;
    ahead = 0;
  }
}

// A block of columns, filled up to whole strips.
struct Block {
  std::size_t begin, n_cols, n_padded;

  Block(const MatrixView& w, std::size_t first) : begin(first) {
    const std::size_t strip = kStripBytes / float_bytes(w.float_type);
    n_cols = std::min(kBlockColumns, w.n_cols - first);
    n_padded = (n_cols + strip - 1) / strip * strip;
  }
  bool whole() const { return n_cols == n_padded; }
};

// Rows [row, row + kTileRows) of w from the block's column on; those past the
// end repeat the last one, and nobody reads their results.
void tile_rows(const MatrixView& w, std::size_t row, std::size_t end,
               const Block& block, const std::uint8_t** rows) {
  for (std::size_t i = 0; i < kTileRows; ++i) {
    rows[i] = w.values + std::min(row + i, end - 1) * w.row_bytes() +
              block.begin * float_bytes(w.float_type);
  }
}

// Few tokens: weights are widened in registers, straight from w.
template <Float kType>
void multiply_rows(const MatrixView& w, const float* x, Range rows,
                   std::size_t n_tokens, float* y, std::size_t stride) {
  constexpr std::size_t kBytes = float_bytes(kType);
  alignas(64) std::uint8_t last[kTileRows][kBlockColumns * kBytes];
  alignas(64) float last_x[kMinPanelTokens][kBlockColumns];
  for (std::size_t r = rows.begin; r < rows.end; r += kTileRows) {
    const Output out{y + (r - rows.begin), stride,
                     std::min(kTileRows, rows.end - r)};
    for (std::size_t c = 0; c < w.n_cols; c += kBlockColumns) {
      const Block block(w, c);
      const std::uint8_t* at[kTileRows];
      tile_rows(w, r, rows.end, block, at);
      if (block.whole()) {
        add_tiles<kType>(at, kTileRows * w.row_bytes(), x + c, w.n_cols,
                         n_tokens, block.n_padded, out);
        continue;
      }
      for (std::size_t i = 0; i < kTileRows; ++i) {
        std::memcpy(last[i], at[i], block.n_cols * kBytes);
        std::memset(last[i] + block.n_cols * kBytes, 0,
                    (block.n_padded - block.n_cols) * kBytes);
        at[i] = last[i];
      }
      for (std::size_t t = 0; t < n_tokens; ++t) {
        std::copy_n(x + t * w.n_cols + c, block.n_cols, last_x[t]);
        std::fill(last_x[t] + block.n_cols, last_x[t] + block.n_padded, 0.0f);
      }
      add_tiles<kType>(at, 0, last_x[0], kBlockColumns, n_tokens,
                       block.n_padded, out);
    }
  }
}

// Many tokens: weights are widened once for all of them.
void multiply_panels(const MatrixView& w, const float* x, Range rows,
                     std::size_t n_tokens, float* y, std::size_t stride) {
  thread_local AlignedBuffer tokens;
  alignas(64) float panel[kPanelRows][kBlockColumns];
  const std::size_t bytes = n_tokens * kBlockColumns * sizeof(float);
  if (tokens.size() < bytes) tokens = AlignedBuffer(bytes);
  for (std::size_t c = 0; c < w.n_cols; c += kBlockColumns) {
    const Block block(w, c);
    const auto copy = [&](const float* from, float* to) {
      std::copy_n(from, block.n_cols, to);
      std::fill(to + block.n_cols, to + block.n_padded, 0.0f);
    };
    for (std::size_t t = 0; t < n_tokens; ++t)
      copy(x + t * w.n_cols + c, tokens.as<float>() + t * kBlockColumns);
    for (std::size_t r = rows.begin; r < rows.end; r += kPanelRows) {
      const std::uint8_t* at[kPanelRows];
      tile_rows(w, r, rows.end, block, at);
      tile_rows(w, r + kTileRows, rows.end, block, at + kTileRows);
      for (std::size_t i = 0; i < kPanelRows; ++i) {
        widen(at[i], w.float_type, block.n_cols, panel[i]);
        std::fill(panel[i] + block.n_cols, panel[i] + block.n_padded, 0.0f);
        at[i] = reinterpret_cast<const std::uint8_t*>(panel[i]);
      }
      for (std::size_t t = 0; t < n_tokens; t += kTileTokens) {
        for (std::size_t i = 0; i < kPanelRows; i += kTileRows) {
          if (r + i >= rows.end) break;
          add_tiles<Float::kF32>(
              at + i, 0, tokens.as<float>() + t * kBlockColumns, kBlockColumns,
              std::min(kTileTokens, n_tokens - t), block.n_padded,
              {y + t * stride + (r + i - rows.begin), stride,
               std::min(kTileRows, rows.end - r - i)});
        }
      }
    }
  }
}

void multiply_dense(const MatrixView& w, const float* x, Range rows,
                    std::size_t n_tokens, float* y, std::size_t stride) {
  for (std::size_t t = 0; t < n_tokens; ++t)
    std::fill_n(y + t * stride, rows.size(), 0.0f);
  if (n_tokens >= kMinPanelTokens)
    return multiply_panels(w, x, rows, n_tokens, y, stride);
  switch (w.float_type) {
    case Float::kF32:
      return multiply_rows<Float::kF32>(w, x, rows, n_tokens, y, stride);
    case Float::kF16:
      return multiply_rows<Float::kF16>(w, x, rows, n_tokens, y, stride);
    case Float::kBF16:
      return multiply_rows<Float::kBF16>(w, x, rows, n_tokens, y, stride);
  }
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua::cpu {

HWY_EXPORT(multiply_dense);

namespace {

class DenseInput final : public LinearInput {
 public:
  explicit DenseInput(const float* x) : x_(x) {}

  bool serves(const MatrixView& w) const override {
    return w.encoding == Encoding::kDense;
  }

  void multiply(const MatrixView& w, Range rows, Range tokens, float* out,
                std::size_t stride) const override {
    HWY_DYNAMIC_DISPATCH(multiply_dense)
    (w, x_ + tokens.begin * w.n_cols, rows, tokens.size(), out, stride);
  }

 private:
  const float* x_;
};

}  // namespace

std::unique_ptr<LinearInput> dense_input(const float* x) {
  return std::make_unique<DenseInput>(x);
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
