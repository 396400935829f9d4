#include <algorithm>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"
#include "kernels/cpu/dense_activations.h"
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

// Accumulators for 4 x 3 products and what they need fill 16 registers.
constexpr std::size_t kTileRows = 4;
constexpr std::size_t kTileTokens = 3;
// Rows that stay in the first-level cache while tokens stream past.
constexpr std::size_t kPanelRows = 2 * kTileRows;
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

#if HWY_TARGET != HWY_SCALAR
// sums[i] = the sum of v's lanes i, i + 4, i + 8, ...
template <class D>
HWY_INLINE void store_folded(D d, hn::Vec<D> v, float* sums) {
  if constexpr (hn::MaxLanes(D()) == kTileRows) {
    hn::StoreU(v, d, sums);
  } else {
    const hn::Half<D> half;
    store_folded(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)),
                 sums);
  }
}
#endif

// sums[i] = the sum of v_i's lanes.
HWY_INLINE void join_lanes(Vector v0, Vector v1, Vector v2, Vector v3,
                           float* sums) {
#if HWY_TARGET == HWY_SCALAR
  sums[0] = hn::GetLane(v0);
  sums[1] = hn::GetLane(v1);
  sums[2] = hn::GetLane(v2);
  sums[3] = hn::GetLane(v3);
#else
  const Floats d;
  const hn::RepartitionToWide<Floats> d64;
  const auto fold = [&](Vector a, Vector b) {
    return hn::BitCast(d64, hn::Add(hn::InterleaveLower(d, a, b),
                                    hn::InterleaveUpper(d, a, b)));
  };
  const auto low = fold(v0, v1), high = fold(v2, v3);
  store_folded(d,
               hn::Add(hn::BitCast(d, hn::InterleaveLower(d64, low, high)),
                       hn::BitCast(d, hn::InterleaveUpper(d64, low, high))),
               sums);
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
  const std::uint8_t* w[kTileRows];
  std::copy_n(rows, kTileRows, w);
  Vector sums[kTokens][kTileRows];
  for (auto& token : sums)
    for (auto& sum : token) sum = hn::Zero(df);
  for (std::size_t c = 0; c < n_cols; c += kStripColumns) {
    const std::size_t strip = c * float_bytes(kType);
    if (ahead != 0) {
      for (const std::uint8_t* row : w) hwy::Prefetch(row + strip + ahead);
    }
    for (std::size_t i = 0; i < kStripColumns; i += hn::Lanes(df)) {
      Vector tokens[kTokens];
      for (std::size_t t = 0; t < kTokens; ++t)
        tokens[t] = hn::LoadU(df, x + t * x_stride + c + i);
      for (std::size_t r = 0; r < kTileRows; ++r) {
        const Vector weights =
            load_weights<kType>(w[r] + strip + i * float_bytes(kType));
        for (std::size_t t = 0; t < kTokens; ++t)
          sums[t][r] = hn::MulAdd(weights, tokens[t], sums[t][r]);
      }
    }
  }
  for (std::size_t t = 0; t < kTokens; ++t) {
    float joined[kTileRows];
    join_lanes(sums[t][0], sums[t][1], sums[t][2], sums[t][3], joined);
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

// A block of columns and the strips that hold it.
struct Block {
  std::size_t begin, n_cols, n_padded;

  Block(const MatrixView& w, std::size_t b) : begin(b * kBlockColumns) {
    constexpr std::size_t kStrip = DenseActivations::kStripColumns;
    n_cols = std::min(kBlockColumns, w.n_cols - begin);
    n_padded = (n_cols + kStrip - 1) / kStrip * kStrip;
  }
  static std::size_t count(const MatrixView& w) {
    return (w.n_cols + kBlockColumns - 1) / kBlockColumns;
  }
};

// n rows of w from `row` and the block's first column on; those past the end
// repeat the last one, and nobody reads their results.
void find_rows(const MatrixView& w, std::size_t row, std::size_t end,
               const Block& block, std::size_t n, const std::uint8_t** at) {
  for (std::size_t i = 0; i < n; ++i) {
    at[i] = w.values + std::min(row + i, end - 1) * w.row_bytes() +
            block.begin * float_bytes(w.float_type);
  }
}

// Few tokens: weights are widened in registers, straight from w.
template <Float kType>
void multiply_rows(const MatrixView& w, const DenseActivations& x, Range rows,
                   std::size_t n_tokens, float* y, std::size_t stride) {
  constexpr std::size_t kBytes = float_bytes(kType);
  // The last block where w has no whole strips.
  alignas(64) std::uint8_t last[kTileRows][kBlockColumns * kBytes] = {};
  for (std::size_t r = rows.begin; r < rows.end; r += kTileRows) {
    for (std::size_t b = 0; b < Block::count(w); ++b) {
      const Block block(w, b);
      const std::uint8_t* at[kTileRows];
      find_rows(w, r, rows.end, block, kTileRows, at);
      std::size_t ahead = kTileRows * w.row_bytes();
      if (block.n_padded != block.n_cols) {
        for (std::size_t i = 0; i < kTileRows; ++i) {
          std::memcpy(last[i], at[i], block.n_cols * kBytes);
          at[i] = last[i];
        }
        ahead = 0;
      }
      add_tiles<kType>(
          at, ahead, x.block(b), x.token_stride, n_tokens, block.n_padded,
          {y + (r - rows.begin), stride, std::min(kTileRows, rows.end - r)});
    }
  }
}

// Many tokens: weights are widened once for all of them.
void multiply_panels(const MatrixView& w, const DenseActivations& x, Range rows,
                     std::size_t n_tokens, float* y, std::size_t stride) {
  alignas(64) float panel[kPanelRows][kBlockColumns];
  const std::size_t next = kPanelRows * w.row_bytes();
  for (std::size_t b = 0; b < Block::count(w); ++b) {
    const Block block(w, b);
    for (std::size_t r = rows.begin; r < rows.end; r += kPanelRows) {
      const std::uint8_t* from[kPanelRows];
      const std::uint8_t* at[kPanelRows];
      find_rows(w, r, rows.end, block, kPanelRows, from);
      for (std::size_t i = 0; i < kPanelRows; ++i) {
        widen(from[i], w.float_type, block.n_cols, panel[i]);
        std::fill(panel[i] + block.n_cols, panel[i] + block.n_padded, 0.0f);
        at[i] = reinterpret_cast<const std::uint8_t*>(panel[i]);
      }
      for (std::size_t t = 0; t < n_tokens; t += kTileTokens) {
        for (const std::uint8_t* row : from)
          hwy::Prefetch(row + next + t / kTileTokens * kStripBytes);
        for (std::size_t i = 0; i < kPanelRows && r + i < rows.end;
             i += kTileRows) {
          add_tiles<Float::kF32>(
              at + i, 0, x.block(b) + t * x.token_stride, x.token_stride,
              std::min(kTileTokens, n_tokens - t), block.n_padded,
              {y + t * stride + (r + i - rows.begin), stride,
               std::min(kTileRows, rows.end - r - i)});
        }
      }
    }
  }
}

void multiply_dense(const MatrixView& w, const DenseActivations& x, Range rows,
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
  DenseInput(const float* x, std::size_t n_tokens, std::size_t n_cols)
      : x_{x, kBlockColumns, n_cols} {
    // Rows a power of two apart share few sets of a cache.
    constexpr std::size_t kMaxTokensInPlace = 8;
    if (n_tokens > kMaxTokensInPlace ||
        n_cols % DenseActivations::kStripColumns != 0)
      pack(x, n_tokens, n_cols);
  }

  bool serves(const MatrixView& w) const override {
    return w.encoding == Encoding::kDense;
  }

  void multiply(const MatrixView& w, Range rows, Range tokens, float* out,
                std::size_t stride) const override {
    HWY_DYNAMIC_DISPATCH(multiply_dense)
    (w, x_.from_token(tokens.begin), rows, tokens.size(), out, stride);
  }

 private:
  void pack(const float* x, std::size_t n_tokens, std::size_t n_cols) {
    const std::size_t n_blocks = (n_cols + kBlockColumns - 1) / kBlockColumns;
    const std::size_t block_stride = n_tokens * kBlockColumns;
    packed_ = AlignedBuffer(n_blocks * block_stride * sizeof(float));
    const auto copy = [&](std::size_t t) {
      for (std::size_t b = 0; b < n_blocks; ++b) {
        const std::size_t n =
            std::min(kBlockColumns, n_cols - b * kBlockColumns);
        float* to = packed_.as<float>() + b * block_stride + t * kBlockColumns;
        std::copy_n(x + t * n_cols + b * kBlockColumns, n, to);
        std::fill(to + n, to + kBlockColumns, 0.0f);
      }
    };
    if (n_tokens <= 8) {
      for (std::size_t t = 0; t < n_tokens; ++t) copy(t);
    } else {
      parallel_for(n_tokens, copy);
    }
    x_ = {packed_.as<float>(), block_stride, kBlockColumns};
  }

  DenseActivations x_;
  AlignedBuffer packed_;
};

}  // namespace

std::unique_ptr<LinearInput> dense_input(const float* x, std::size_t n_tokens,
                                         std::size_t n_cols) {
  return std::make_unique<DenseInput>(x, n_tokens, n_cols);
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
