// Products of packed weight rows with many 16-bit activations, in tiles of
// bytes. Included for the AMX instructions and, by a test, for a model of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"
#include "kernels/cpu/int16_activations.h"
#include "kernels/cpu/linear_input.h"
#include "kernels/cpu/linear_rows.h"
#include "kernels/cpu/tiles-inl.h"

namespace skua::cpu {

/** Tiles is a set of static functions:
 *    configure(const TileConfig&), release(), zero<tile>(),
 *    load<tile>(at, row_stride), store<tile>(at, row_stride),
 *    multiply<sums, a, b>(): adds unsigned bytes times signed ones, as the
 *    instruction TDPBUSD.
 *  An activation is taken apart into two signed bytes, 256 upper + lower. */
template <class Tiles>
class TileInput final : public LinearInput {
 public:
  TileInput(const MatrixView& w, const float* x, std::size_t n_tokens)
      : n_tokens_(n_tokens),
        n_cols_(w.n_cols),
        group_(static_cast<std::size_t>(w.group_size)),
        n_groups_(w.n_groups()),
        split_(splits_columns(w)) {
    const std::size_t n_padded = n_blocks() * kLanes;
    bytes_ = AlignedBuffer(n_padded * n_cols_ * kTerms);
    scales_ = AlignedBuffer(n_padded * n_groups_ * sizeof(float));
    sums_ = AlignedBuffer(n_padded * n_groups_ * sizeof(float));
    parallel_for(n_blocks(), [&](std::size_t block) { pack(x, block); });
  }

  /** True if the tiles fit w's groups of columns. */
  static bool takes(const MatrixView& w) {
    return w.encoding != Encoding::kDense && w.encoding != Encoding::kMxfp8 &&
           (w.group_size == 32 || w.group_size == 64 || w.group_size == 128);
  }

  bool serves(const MatrixView& w) const override {
    return w.precision != Precision::kExact && takes(w) &&
           static_cast<std::size_t>(w.group_size) == group_ &&
           splits_columns(w) == split_;
  }

  void multiply(const MatrixView& w, Range rows, Range tokens, float* out,
                std::size_t stride) const override {
    thread_local Panel panel;
    const Session session(step_columns());
    for (std::size_t r = rows.begin; r < rows.end; r += kPanelRows) {
      const Range part{r, std::min(r + kPanelRows, rows.end)};
      panel.load(w, part, step_columns());
      multiply_panel(panel, part.size(), tokens, out + (r - rows.begin),
                     stride);
    }
  }

 private:
  static constexpr std::size_t kTerms = 2;           // bytes of an activation
  static constexpr std::size_t kLanes = kTileLanes;  // tokens, or rows
  static constexpr std::size_t kPanelRows = 2 * kLanes;
  static constexpr std::size_t kTileWords = kLanes * kLanes;
  static constexpr std::size_t kPanelFloats = kPanelRows * kLanes;
  static_assert(kTokensPerChunk % kLanes == 0);

  // Tiles 0 to 3 hold sums, 4 and 5 weights, 6 and 7 activations.
  struct Session {
    explicit Session(std::size_t n_step) {
      TileConfig config;
      for (int tile = 0; tile < 8; ++tile) {
        config.rows[tile] = kLanes;
        config.row_bytes[tile] = 64;
      }
      config.row_bytes[4] = config.row_bytes[5] =
          static_cast<std::uint16_t>(n_step);
      config.rows[6] = config.rows[7] = static_cast<std::uint8_t>(n_step / 4);
      Tiles::configure(config);
    }
    ~Session() { Tiles::release(); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
  };

  // Weights of some rows as bytes and float32.
  class Panel {
   public:
    // Rows past the end repeat the last one; nobody reads their results.
    void load(const MatrixView& w, Range rows, std::size_t n_step) {
      const std::size_t n_groups = w.n_groups();
      if (codes_.size() < kPanelRows * w.n_cols)
        codes_ = AlignedBuffer(kPanelRows * w.n_cols);
      scales_.resize(kPanelRows * n_groups);
      biases_.resize(kPanelRows * n_groups);
      row_.resize(2 * n_groups);
      for (std::size_t i = 0; i < kPanelRows; ++i) {
        const std::size_t row = std::min(rows.begin + i, rows.end - 1);
        code_row(w, row, n_step, codes_.as<std::uint8_t>() + i * n_step,
                 kPanelRows * n_step);
        scale_row(w, row, row_.data(), row_.data() + n_groups);
        for (std::size_t g = 0; g < n_groups; ++g) {
          scales_[g * kPanelRows + i] = row_[g];
          biases_[g * kPanelRows + i] = row_[n_groups + g];
        }
      }
    }

    const std::uint8_t* codes() const { return codes_.as<std::uint8_t>(); }
    const float* scales() const { return scales_.data(); }
    const float* biases() const { return biases_.data(); }

   private:
    AlignedBuffer codes_;        // [n_cols / n_step, kPanelRows, n_step]
    std::vector<float> scales_;  // [n_groups, kPanelRows]
    std::vector<float> biases_;  // as scales_
    std::vector<float> row_;
  };

  std::size_t n_blocks() const { return (n_tokens_ + kLanes - 1) / kLanes; }
  // What a product of two tiles sums over.
  std::size_t step_columns() const { return std::min<std::size_t>(group_, 64); }

  // Rounds the tokens of a block. Those past the end are 0.
  void pack(const float* x, std::size_t block) {
    thread_local std::vector<std::int16_t> values;
    thread_local std::vector<float> row;
    values.assign(kLanes * n_cols_, 0);
    row.resize(2 * n_groups_);
    float* scales = scales_.as<float>() + block * n_groups_ * kLanes;
    float* sums = sums_.as<float>() + block * n_groups_ * kLanes;
    for (std::size_t t = 0; t < kLanes; ++t) {
      const std::size_t token = block * kLanes + t;
      if (token < n_tokens_) {
        round_row(x + token * n_cols_, n_cols_, group_,
                  values.data() + t * n_cols_, row.data(),
                  row.data() + n_groups_);
      } else {
        std::fill(row.begin(), row.end(), 0.0f);
      }
      for (std::size_t g = 0; g < n_groups_; ++g) {
        scales[g * kLanes + t] = row[g];
        sums[g * kLanes + t] = row[n_groups_ + g];
      }
    }
    pack_bytes(values.data(),
               bytes_.as<std::uint8_t>() + block * kLanes * n_cols_ * kTerms);
  }

  // The upper byte is rounded, so that the lower one is signed too.
  static std::int8_t byte_of(std::int16_t value, std::size_t term) {
    return static_cast<std::int8_t>(term == 0 ? (value + 128) >> 8 : value);
  }

  // Step by step and term by term a tile: four columns of all tokens a row.
  SKUA_TILE_TARGET void pack_bytes(const std::int16_t* values,
                                   std::uint8_t* out) const {
    alignas(64) std::int8_t bytes[kLanes][64] = {};
    alignas(64) std::uint8_t tile[kLanes][64];
    const std::size_t n_step = step_columns();
    for (std::size_t c = 0; c < n_cols_; c += n_step) {
      for (std::size_t term = 0; term < kTerms; ++term) {
        for (std::size_t t = 0; t < kLanes; ++t)
          take_bytes(values + t * n_cols_ + c, n_step, term, bytes[t]);
        transpose_words(bytes, tile);
        std::memcpy(out, tile, n_step * kLanes);
        out += n_step * kLanes;
      }
    }
  }

  SKUA_TILE_TARGET void take_bytes(const std::int16_t* values, std::size_t n,
                                   std::size_t term, std::int8_t* out) const {
    if (!split_) {
      for (std::size_t i = 0; i < n; ++i) out[i] = byte_of(values[i], term);
      return;
    }
    for (std::size_t i = 0; i < n / 2; ++i) {
      out[i] = byte_of(values[2 * i], term);
      out[n / 2 + i] = byte_of(values[2 * i + 1], term);
    }
  }

  // out[t, r] for the tokens and the first n_rows rows of the panel.
  SKUA_TILE_TARGET void multiply_panel(const Panel& panel, std::size_t n_rows,
                                       Range tokens, float* out,
                                       std::size_t stride) const {
    alignas(64) float partials[kPartials * kPanelFloats];
    alignas(64) std::int32_t products[kTerms * kPanelFloats];
    const std::size_t group_bytes = group_ * kLanes;  // of a tile's rows
    const std::uint8_t* codes = panel.codes();
    const float *scales = panel.scales(), *biases = panel.biases();
    for (std::size_t block = tokens.begin / kLanes; block * kLanes < tokens.end;
         ++block) {
      std::fill(std::begin(partials), std::end(partials), 0.0f);
      for (std::size_t g = 0; g < n_groups_; ++g) {
        const std::size_t at = block * n_groups_ + g;
        multiply_group(codes + g * 2 * group_bytes,
                       bytes_.as<std::uint8_t>() + at * kTerms * group_bytes,
                       products);
        add_group(products, scales + g * kPanelRows, biases + g * kPanelRows,
                  scales_.as<float>() + at * kLanes,
                  sums_.as<float>() + at * kLanes,
                  partials + g % kPartials * kPanelFloats);
      }
      const std::size_t first = block * kLanes;
      const Range inside{std::max(first, tokens.begin),
                         std::min(first + kLanes, tokens.end)};
      for (std::size_t r = 0; r < n_rows; r += kLanes) {
        store(partials + r * kLanes, {inside.begin - first, inside.end - first},
              std::min(kLanes, n_rows - r),
              out + (inside.begin - tokens.begin) * stride + r, stride);
      }
    }
  }

  // products[half of the panel, term, row, token], summed over a group.
  void multiply_group(const std::uint8_t* codes, const std::uint8_t* x,
                      std::int32_t* products) const {
    const std::size_t n_step = step_columns();
    const std::size_t tile_bytes = n_step * kLanes;
    Tiles::template zero<0>();
    Tiles::template zero<1>();
    Tiles::template zero<2>();
    Tiles::template zero<3>();
    for (std::size_t c = 0; c < group_; c += n_step) {
      Tiles::template load<4>(codes, n_step);
      Tiles::template load<6>(x, 64);
      Tiles::template load<5>(codes + tile_bytes, n_step);
      Tiles::template multiply<0, 4, 6>();
      Tiles::template multiply<2, 5, 6>();
      Tiles::template load<7>(x + tile_bytes, 64);
      Tiles::template multiply<1, 4, 7>();
      Tiles::template multiply<3, 5, 7>();
      codes += 2 * tile_bytes;
      x += kTerms * tile_bytes;
    }
    Tiles::template store<0>(products, 64);
    Tiles::template store<1>(products + kTileWords, 64);
    Tiles::template store<2>(products + 2 * kTileWords, 64);
    Tiles::template store<3>(products + 3 * kTileWords, 64);
  }

  // Adds a group's products, as add_group() of int16_panel-inl.h, to partial
  // sums [row, token]. Rounds once where it says fma, and nowhere else.
  SKUA_TILE_TARGET static void add_group(
      const std::int32_t* __restrict products, const float* __restrict w_scales,
      const float* __restrict w_biases, const float* __restrict x_scales,
      const float* __restrict x_sums, float* __restrict partials) {
    for (std::size_t half = 0; half < 2; ++half) {
      for (std::size_t r = 0; r < kLanes; ++r) {
        const std::size_t row = half * kLanes + r;
        const std::int32_t* upper =
            products + half * kTerms * kTileWords + r * kLanes;
        const std::int32_t* lower = upper + kTileWords;
        float* out = partials + row * kLanes;
        // Tokens are the lanes; without it Clang takes the rows.
#pragma GCC unroll 1
        for (std::size_t t = 0; t < kLanes; ++t) {
          const std::int32_t sum = 256 * upper[t] + lower[t];
          const float bias = w_biases[row] * x_sums[t];
          const float term =
              std::fma(w_scales[row], static_cast<float>(sum), bias);
          out[t] = std::fma(term, x_scales[t], out[t]);
        }
      }
    }
  }

  // Joins partial sums [kPartials, kPanelRows, kLanes] of 16 rows in the order
  // of join_partials().
  SKUA_TILE_TARGET static void store(const float* partials, Range tokens,
                                     std::size_t n_rows, float* out,
                                     std::size_t stride) {
    alignas(64) float joined[kLanes][kLanes];
    alignas(64) float by_token[kLanes][kLanes];
    const auto partial = [&](std::size_t p) {
      return partials + p * kPanelFloats;
    };
    const float *p0 = partial(0), *p1 = partial(1), *p2 = partial(2),
                *p3 = partial(3), *p4 = partial(4), *p5 = partial(5),
                *p6 = partial(6), *p7 = partial(7);
    float* sum = joined[0];
    for (std::size_t i = 0; i < kLanes * kLanes; ++i) {
      const float low = (p0[i] + p4[i]) + (p2[i] + p6[i]);
      const float high = (p1[i] + p5[i]) + (p3[i] + p7[i]);
      sum[i] = low + high;
    }
    transpose_words(joined, by_token);
    for (std::size_t t = tokens.begin; t < tokens.end; ++t, out += stride)
      std::copy_n(by_token[t], n_rows, out);
  }

  std::size_t n_tokens_;
  std::size_t n_cols_;
  std::size_t group_;  // columns
  std::size_t n_groups_;
  bool split_;            // even columns of a step before the odd ones
  AlignedBuffer bytes_;   // [n_blocks, steps, kTerms, n_step / 4, 16, 4]
  AlignedBuffer scales_;  // [n_blocks, n_groups, 16]
  AlignedBuffer sums_;    // [n_blocks, n_groups, 16]
};

}  // namespace skua::cpu
