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

// Accumulators for 4 rows by 3 tokens and what they need fill 16 registers.
constexpr std::size_t kTileRows = 4;
static_assert(kTokensPerChunk % kTileTokens == 0);
// Rows that stay in the first-level cache while tokens stream past.
constexpr std::size_t kPanelRows = 2 * kTileRows;
constexpr std::size_t kLineBytes = 64;

template <Float kType>
HWY_INLINE Vector load_weights(const std::uint8_t* at) {
  if constexpr (kType == Float::kF32) {
    return load_anywhere(Floats(), at);
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
  store_folded(d, sum_blocks(d, v0, v1, v2, v3), sums);
#endif
}

struct Tile {
  const std::uint8_t* const* rows;
  std::size_t ahead;  // bytes from a row's numbers to those to fetch, or 0
  const float* x;     // of the first token
  std::size_t n_strips;
  float* y;  // of the first row and token
  std::size_t y_stride;
  std::size_t n_rows;  // that are wanted
};

// Adds to y the products of four rows with kTokens tokens.
template <Float kType, std::size_t kTokens>
void add_tile(const Tile& tile, const DenseActivations& layout) {
  const Floats df;
  constexpr std::size_t kBytes = float_bytes(kType);
  const std::uint8_t* w[kTileRows];
  std::copy_n(tile.rows, kTileRows, w);
  const float* x = tile.x;
  const std::size_t ahead = tile.ahead;
  const std::size_t end = tile.n_strips * kStripColumns * kBytes;
  Vector sums[kTokens][kTileRows];
  for (auto& token : sums)
    for (auto& sum : token) sum = hn::Zero(df);
  for (std::size_t at = 0; at < end; at += kStripColumns * kBytes) {
    if (ahead != 0) {
      for (const std::uint8_t* row : w)
        for (std::size_t i = 0; i < kStripColumns * kBytes; i += kLineBytes)
          hwy::Prefetch(row + at + i + ahead);
    }
    for (std::size_t c = 0; c < kStripColumns; c += hn::Lanes(df)) {
      Vector tokens[kTokens];
      for (std::size_t t = 0; t < kTokens; ++t)
        tokens[t] = hn::LoadU(df, x + t * layout.token + c);
      for (std::size_t r = 0; r < kTileRows; ++r) {
        const Vector weights = load_weights<kType>(w[r] + at + c * kBytes);
        for (std::size_t t = 0; t < kTokens; ++t)
          sums[t][r] = hn::MulAdd(weights, tokens[t], sums[t][r]);
      }
    }
    x += layout.strip;
  }
  for (std::size_t t = 0; t < kTokens; ++t) {
    float joined[kTileRows];
    join_lanes(sums[t][0], sums[t][1], sums[t][2], sums[t][3], joined);
    float* y = tile.y + t * tile.y_stride;
    for (std::size_t r = 0; r < tile.n_rows; ++r) y[r] += joined[r];
  }
}

template <Float kType>
void add_tile(std::size_t n_tokens, const Tile& tile,
              const DenseActivations& layout) {
  if (n_tokens == 1) return add_tile<kType, 1>(tile, layout);
  if (n_tokens == 2) return add_tile<kType, 2>(tile, layout);
  add_tile<kType, 3>(tile, layout);
}

// A block of columns and the strips that hold it.
struct Block {
  std::size_t begin, n_cols, n_strips;

  Block(const MatrixView& w, std::size_t b) : begin(b * kBlockColumns) {
    n_cols = std::min(kBlockColumns, w.n_cols - begin);
    n_strips = (n_cols + kStripColumns - 1) / kStripColumns;
  }
  std::size_t n_padded() const { return n_strips * kStripColumns; }
  static std::size_t count(const MatrixView& w) {
    return (w.n_cols + kBlockColumns - 1) / kBlockColumns;
  }
  // Rows past the end repeat the last one; nobody reads their results.
  const std::uint8_t* row(const MatrixView& w, std::size_t r,
                          std::size_t end) const {
    return w.values + std::min(r, end - 1) * w.row_bytes() +
           begin * float_bytes(w.float_type);
  }
};

// Few tokens: weights are widened in registers, straight from w.
template <Float kType>
void multiply_rows(const MatrixView& w, const DenseActivations& x, Range rows,
                   std::size_t n_tokens, float* y, std::size_t stride) {
  constexpr std::size_t kBytes = float_bytes(kType);
  // Of the last block, where strips would end behind the row.
  alignas(64) std::uint8_t last[kTileRows][kBlockColumns * kBytes] = {};
  const std::uint8_t* at[kTileRows];
  Tile tile;
  tile.rows = at;
  tile.y_stride = stride;
  for (std::size_t r = rows.begin; r < rows.end; r += kTileRows) {
    tile.n_rows = std::min(kTileRows, rows.end - r);
    for (std::size_t b = 0; b < Block::count(w); ++b) {
      const Block block(w, b);
      const bool whole = block.n_cols == block.n_padded();
      for (std::size_t i = 0; i < kTileRows; ++i) {
        at[i] = block.row(w, r + i, rows.end);
        if (whole) continue;
        std::memcpy(last[i], at[i], block.n_cols * kBytes);
        at[i] = last[i];
      }
      tile.n_strips = block.n_strips;
      tile.ahead = whole ? kTileRows * w.row_bytes() : 0;
      for (std::size_t t = 0; t < n_tokens; t += kTileTokens) {
        tile.x = x.x + b * x.block + t / kTileTokens * x.group;
        tile.y = y + t * stride + (r - rows.begin);
        add_tile<kType>(n_tokens - t, tile, x);
        tile.ahead = 0;
      }
    }
  }
}

class DensePanel {
 public:
  DensePanel() {
    for (std::size_t i = 0; i < kPanelRows; ++i)
      rows_[i] = reinterpret_cast<const std::uint8_t*>(numbers_[i]);
  }

  void load(const MatrixView& w, const Block& block, Range wanted) {
    for (std::size_t i = 0; i < kPanelRows; ++i) {
      widen(block.row(w, wanted.begin + i, wanted.end), w.float_type,
            block.n_cols, numbers_[i]);
      std::fill(numbers_[i] + block.n_cols, numbers_[i] + block.n_padded(),
                0.0f);
    }
  }

  const std::uint8_t* const* rows() const { return rows_; }

 private:
  alignas(64) float numbers_[kPanelRows][kBlockColumns];
  const std::uint8_t* rows_[kPanelRows];
};

// Piece i of n of the block's columns in the panel that begins at `rows`.
void fetch_panel(const MatrixView& w, const Block& block,
                 const std::uint8_t* rows, std::size_t i, std::size_t n) {
  const std::size_t n_bytes = block.n_cols * float_bytes(w.float_type);
  for (std::size_t at = i * kLineBytes; at < n_bytes; at += n * kLineBytes)
    for (std::size_t r = 0; r < kPanelRows; ++r)
      hwy::Prefetch(rows + r * w.row_bytes() + at);
}

// Many tokens: weights are widened once for all of them.
void multiply_panels(const MatrixView& w, const DenseActivations& x, Range rows,
                     std::size_t n_tokens, float* y, std::size_t stride) {
  const std::size_t n_groups = (n_tokens + kTileTokens - 1) / kTileTokens;
  DensePanel panel;
  Tile tile;
  tile.ahead = 0;
  tile.y_stride = stride;
  for (std::size_t b = 0; b < Block::count(w); ++b) {
    const Block block(w, b);
    tile.n_strips = block.n_strips;
    for (std::size_t r = rows.begin; r < rows.end; r += kPanelRows) {
      const std::size_t n_rows = std::min(kPanelRows, rows.end - r);
      const std::uint8_t* next =
          block.row(w, r, rows.end) + kPanelRows * w.row_bytes();
      panel.load(w, block, {r, rows.end});
      for (std::size_t g = 0; g < n_groups; ++g) {
        fetch_panel(w, block, next, g, n_groups);
        tile.x = x.x + b * x.block + g * x.group;
        for (std::size_t i = 0; i < n_rows; i += kTileRows) {
          tile.rows = panel.rows() + i;
          tile.n_rows = std::min(kTileRows, n_rows - i);
          tile.y = y + g * kTileTokens * stride + (r + i - rows.begin);
          add_tile<Float::kF32>(n_tokens - g * kTileTokens, tile, x);
        }
      }
    }
  }
}

void multiply_dense(const MatrixView& w, const DenseActivations& x, Range rows,
                    std::size_t n_tokens, float* y, std::size_t stride) {
  for (std::size_t t = 0; t < n_tokens; ++t)
    std::fill_n(y + t * stride, rows.size(), 0.0f);
  if (n_tokens >= kMinDensePanelTokens)
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
      : x_{x, kBlockColumns, kTileTokens * n_cols, kStripColumns, n_cols} {
    if (n_tokens > kMaxTokensInPlace || n_cols % kStripColumns != 0)
      pack(x, n_tokens, n_cols);
  }

  bool serves(const MatrixView& w) const override {
    return w.encoding == Encoding::kDense;
  }

  void multiply(const MatrixView& w, Range rows, Range tokens, float* out,
                std::size_t stride) const override {
    DenseActivations x = x_;
    x.x += tokens.begin / kTileTokens * x.group;
    HWY_DYNAMIC_DISPATCH(multiply_dense)
    (w, x, rows, tokens.size(), out, stride);
  }

 private:
  // Rows that lie a power of two apart share few sets of a cache.
  static constexpr std::size_t kMaxTokensInPlace = 8;

  void pack(const float* x, std::size_t n_tokens, std::size_t n_cols) {
    const std::size_t n_groups = (n_tokens + kTileTokens - 1) / kTileTokens;
    const std::size_t n_blocks = (n_cols + kBlockColumns - 1) / kBlockColumns;
    x_.token = kStripColumns;
    x_.strip = kTileTokens * x_.token;
    x_.group = kBlockColumns / kStripColumns * x_.strip;
    x_.block = n_groups * x_.group;
    packed_ = AlignedBuffer(n_blocks * x_.block * sizeof(float));
    x_.x = packed_.as<float>();
    const auto copy = [&](std::size_t t) {
      float* out = packed_.as<float>() + t / kTileTokens * x_.group +
                   t % kTileTokens * x_.token;
      for (std::size_t c = 0; c < n_cols; c += kStripColumns) {
        const std::size_t n = std::min(kStripColumns, n_cols - c);
        float* to = out + c / kBlockColumns * x_.block +
                    c % kBlockColumns / kStripColumns * x_.strip;
        std::copy_n(x + t * n_cols + c, n, to);
        std::fill(to + n, to + kStripColumns, 0.0f);
      }
    };
    if (n_tokens <= kMaxTokensInPlace) {
      for (std::size_t t = 0; t < n_tokens; ++t) copy(t);
    } else {
      parallel_for(n_tokens, copy);
    }
  }

  DenseActivations x_;
  AlignedBuffer packed_;
};

}  // namespace

const char* dense_kernel_name(std::size_t n_tokens) {
  return n_tokens >= kMinDensePanelTokens ? "dense panel" : "dense rows";
}

std::unique_ptr<LinearInput> dense_input(const float* x, std::size_t n_tokens,
                                         std::size_t n_cols) {
  return std::make_unique<DenseInput>(x, n_tokens, n_cols);
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
