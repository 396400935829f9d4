// Products of packed weight rows with several 16-bit activations, in tiles of
// bytes. Included for the AMX instructions and, by a test, for a model of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"
#include "kernels/cpu/code_tiles-inl.h"
#include "kernels/cpu/int16_activations.h"
#include "kernels/cpu/linear_input.h"
#include "kernels/cpu/linear_rows.h"
#include "kernels/cpu/tiles-inl.h"

namespace skua::cpu {

/** Tiles is a set of static functions:
 *    configure(const TileConfig&), release(), zero<tile>(),
 *    load<tile>(at, row_stride), store<tile>(at, row_stride),
 *    multiply<sums, a, b>(): adds signed bytes times unsigned ones, as the
 *    instruction TDPBSUD.
 *  An activation is taken apart into two signed bytes, 256 upper + lower.
 *  Activations are the left factor, so that a product costs no more than its
 *  tokens and all lanes of its sums are rows of weights. */
template <class Tiles>
class TileInput final : public LinearInput {
 public:
  TileInput(const MatrixView& w, const float* x, std::size_t n_tokens)
      : n_tokens_(n_tokens),
        n_lanes_(std::min(n_tokens, kTileLanes)),
        n_cols_(w.n_cols),
        group_(static_cast<std::size_t>(w.group_size)),
        n_groups_(w.n_groups()),
        split_(has_packed_tiles(w)) {
    const std::size_t n_padded = n_blocks() * n_lanes_;
    bytes_ = AlignedBuffer(n_padded * n_cols_ * kTerms);
    scales_ = AlignedBuffer(n_padded * n_groups_ * 2 * sizeof(float));
    parallel_for(n_padded, [&](std::size_t token) { pack(x, token); });
  }

  /** True if the tiles fit w's groups of columns. */
  static bool takes(const MatrixView& w) {
    return w.encoding != Encoding::kDense && w.encoding != Encoding::kMxfp8 &&
           (w.group_size == 32 || w.group_size == 64 || w.group_size == 128);
  }

  bool serves(const MatrixView& w) const override {
    return w.precision != Precision::kExact && takes(w) &&
           static_cast<std::size_t>(w.group_size) == group_ &&
           has_packed_tiles(w) == split_;
  }

  void multiply(const MatrixView& w, Range rows, Range tokens, float* out,
                std::size_t stride) const override {
    thread_local CodeTiles weights;
    thread_local Room room;
    const Range blocks{tokens.begin / kTileLanes,
                       (tokens.end + kTileLanes - 1) / kTileLanes};
    room.make(blocks.size() * block_sums(), kPartials * group_ * kTileLanes);
    const Session session(n_lanes_, step_columns());
    for (std::size_t r = rows.begin; r < rows.end; r += kTileLanes) {
      const Range part{r, std::min(r + kTileLanes, rows.end)};
      weights.begin(w, part);
      add_rows(weights, blocks, room);
      float* const to = out + (r - rows.begin);
      for (std::size_t t = tokens.begin; t < tokens.end; ++t)
        store(room.sums, t - blocks.begin * kTileLanes, part.size(),
              to + (t - tokens.begin) * stride);
    }
  }

 private:
  static constexpr std::size_t kTerms = 2;  // bytes of an activation
  static_assert(kTokensPerChunk % kTileLanes == 0);

  // Tiles 0 and 1 hold sums, 4 and 5 activations, 6 weights. Few tokens have
  // the upper and the lower bytes in one tile.
  struct Session {
    Session(std::size_t n_lanes, std::size_t n_step) {
      TileConfig config;
      for (int tile = 0; tile < 8; ++tile) {
        config.rows[tile] =
            static_cast<std::uint8_t>(tile >= 6              ? n_step / 4
                                      : shares_tile(n_lanes) ? 2 * n_lanes
                                                             : n_lanes);
        config.row_bytes[tile] =
            static_cast<std::uint16_t>(tile == 4 || tile == 5 ? n_step : 64);
      }
      Tiles::configure(config);
    }
    ~Session() { Tiles::release(); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
  };

  // What a thread works in.
  struct Room {
    float* sums = nullptr;          // [blocks][kPartials][n_lanes][rows]
    std::uint8_t* codes = nullptr;  // of kPartials groups
    void make(std::size_t n_sums, std::size_t n_codes) {
      if (sums_.size() < n_sums * sizeof(float))
        sums_ = AlignedBuffer(n_sums * sizeof(float));
      if (codes_.size() < n_codes) codes_ = AlignedBuffer(n_codes);
      sums = sums_.as<float>();
      codes = codes_.as<std::uint8_t>();
    }

   private:
    AlignedBuffer sums_, codes_;
  };

  static bool shares_tile(std::size_t n_lanes) {
    return n_lanes <= kTileLanes / 2;
  }
  std::size_t n_blocks() const {
    return (n_tokens_ + kTileLanes - 1) / kTileLanes;
  }
  std::size_t block_sums() const { return kPartials * n_lanes_ * kTileLanes; }
  // What a product of two tiles sums over.
  std::size_t step_columns() const { return std::min<std::size_t>(group_, 64); }
  std::size_t group_bytes() const { return kTerms * n_lanes_ * group_; }

  // Rounds a token. Those past the end are 0.
  void pack(const float* x, std::size_t token) {
    thread_local std::vector<std::int16_t> values;
    thread_local std::vector<float> row;
    values.assign(n_cols_, 0);
    row.assign(2 * n_groups_, 0.0f);
    if (token < n_tokens_)
      round_row(x + token * n_cols_, n_cols_, group_, values.data(), row.data(),
                row.data() + n_groups_);
    const std::size_t block = token / n_lanes_, lane = token % n_lanes_;
    float* scales = scales_.as<float>() + 2 * block * n_groups_ * n_lanes_;
    for (std::size_t g = 0; g < n_groups_; ++g, scales += 2 * n_lanes_) {
      scales[lane] = row[g];
      scales[n_lanes_ + lane] = row[n_groups_ + g];
    }
    pack_bytes(values.data(), bytes_.as<std::uint8_t>() +
                                  block * n_groups_ * group_bytes() +
                                  lane * step_columns());
  }

  // Upper and lower bytes of each step's columns. The upper ones are rounded,
  // so that the lower ones are signed too.
  SKUA_TILE_TARGET void pack_bytes(const std::int16_t* values,
                                   std::uint8_t* out) const {
    using Values = std::int16_t __attribute__((vector_size(64)));
    using Bytes = std::int8_t __attribute__((vector_size(32)));
    constexpr std::size_t kValues = 32;
    const std::size_t n_step = step_columns();
    for (std::size_t c = 0; c < n_cols_; c += kValues) {
      Values v;
      std::memcpy(&v, values + c, sizeof v);
      if (split_)
        v = __builtin_shufflevector(v, v, 0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14,
                                    9, 11, 13, 15, 16, 18, 20, 22, 17, 19, 21,
                                    23, 24, 26, 28, 30, 25, 27, 29, 31);
      const Bytes lower = __builtin_convertvector(v, Bytes);
      const Bytes upper = __builtin_convertvector((v + 128) >> 8, Bytes);
      std::uint8_t* to =
          out + c / n_step * kTerms * n_lanes_ * n_step + c % n_step;
      std::memcpy(to, &upper, sizeof upper);
      std::memcpy(to + n_lanes_ * n_step, &lower, sizeof lower);
    }
  }

  // Products of the rows with the tokens of some blocks. As many groups are
  // decoded at a time as there are partial sums.
  void add_rows(CodeTiles& weights, Range blocks, const Room& room) const {
    std::fill_n(room.sums, blocks.size() * block_sums(), 0.0f);
    for (std::size_t first = 0; first < n_groups_; first += kPartials) {
      const Range groups{first, std::min(first + kPartials, n_groups_)};
      const std::size_t begin = groups.begin * group_;
      for (std::size_t c = begin; c < groups.end * group_;
           c += CodeTiles::kColumns) {
        weights.fetch(CodeTiles::kColumns / 4);
        weights.decode(c, room.codes + (c - begin) * kTileLanes);
      }
      for (std::size_t b = blocks.begin; b < blocks.end; ++b)
        add_groups(weights, groups, room.codes, b,
                   room.sums + (b - blocks.begin) * block_sums());
    }
  }

  // Tiles multiply the next group while the sums of one are added.
  SKUA_TILE_TARGET void add_groups(CodeTiles& weights, Range groups,
                                   const std::uint8_t* codes, std::size_t block,
                                   float* sums) const {
    alignas(64) std::int32_t products[2][kTerms * kTileLanes * kTileLanes];
    const std::size_t first = block * n_groups_ + groups.begin;
    const std::uint8_t* x = bytes_.as<std::uint8_t>() + first * group_bytes();
    const float* x_scales = scales_.as<float>() + 2 * first * n_lanes_;
    multiply_group(codes, x, products[0]);
    for (std::size_t g = groups.begin; g < groups.end; ++g) {
      const std::size_t i = g - groups.begin;
      codes += group_ * kTileLanes;
      x += group_bytes();
      if (g + 1 < groups.end) multiply_group(codes, x, products[(i + 1) % 2]);
      weights.fetch(group_ * 3 / 4);
      add_group(products[i % 2], weights.scales(g), weights.biases(g),
                x_scales + 2 * i * n_lanes_, sums + i * n_lanes_ * kTileLanes);
    }
  }

  // products[term, token, row], summed over a group.
  void multiply_group(const std::uint8_t* codes, const std::uint8_t* x,
                      std::int32_t* products) const {
    const std::size_t n_step = step_columns();
    const std::size_t tile_bytes = n_lanes_ * n_step;
    const bool shares = shares_tile(n_lanes_);
    Tiles::template zero<0>();
    if (!shares) Tiles::template zero<1>();
    for (std::size_t c = 0; c < group_; c += n_step) {
      Tiles::template load<6>(codes, 64);
      Tiles::template load<4>(x, n_step);
      Tiles::template multiply<0, 4, 6>();
      if (!shares) {
        Tiles::template load<5>(x + tile_bytes, n_step);
        Tiles::template multiply<1, 5, 6>();
      }
      codes += kTileLanes * n_step;
      x += kTerms * tile_bytes;
    }
    Tiles::template store<0>(products, 64);
    if (!shares) Tiles::template store<1>(products + n_lanes_ * kTileLanes, 64);
  }

  using Sums = float __attribute__((vector_size(64)));
  using Products = std::int32_t __attribute__((vector_size(64)));

  SKUA_INLINE_TARGET static Sums fused_multiply_add(Sums a, Sums b, Sums c) {
    Sums out;
    for (std::size_t i = 0; i < kTileLanes; ++i)
      out[i] = std::fma(a[i], b[i], c[i]);
    return out;
  }
  SKUA_INLINE_TARGET static Sums all_lanes(float x) {
    Sums out;
    for (std::size_t i = 0; i < kTileLanes; ++i) out[i] = x;
    return out;
  }
  template <class Vector>
  SKUA_INLINE_TARGET static Vector vector_at(const void* at) {
    Vector v;
    std::memcpy(&v, at, sizeof v);
    return v;
  }

  // Adds a group's products, as add_group() of int16_panel-inl.h, to partial
  // sums [token, row]. Rounds once where it says fused, and nowhere else.
  SKUA_TILE_TARGET void add_group(const std::int32_t* products,
                                  const float* w_scales, const float* w_biases,
                                  const float* x_scales, float* sums) const {
    const auto w_scale = vector_at<Sums>(w_scales);
    const auto w_bias = vector_at<Sums>(w_biases);
    const std::int32_t* upper = products;
    const std::int32_t* lower = products + n_lanes_ * kTileLanes;
    for (std::size_t t = 0; t < n_lanes_; ++t) {
      const Products whole =
          vector_at<Products>(upper) * 256 + vector_at<Products>(lower);
      const Sums bias = w_bias * x_scales[n_lanes_ + t];
      const Sums term = fused_multiply_add(
          w_scale, __builtin_convertvector(whole, Sums), bias);
      const Sums sum = fused_multiply_add(term, all_lanes(x_scales[t]),
                                          vector_at<Sums>(sums));
      std::memcpy(sums, &sum, sizeof sum);
      upper += kTileLanes;
      lower += kTileLanes;
      sums += kTileLanes;
    }
  }

  // Joins a token's partial sums in the order of join_partials().
  SKUA_TILE_TARGET void store(const float* sums, std::size_t token,
                              std::size_t n_rows, float* out) const {
    const std::size_t block = token / n_lanes_, lane = token % n_lanes_;
    const float* first = sums + block * block_sums() + lane * kTileLanes;
    Sums partial[kPartials];
#pragma GCC unroll 8
    for (std::size_t p = 0; p < kPartials; ++p)
      partial[p] = vector_at<Sums>(first + p * n_lanes_ * kTileLanes);
    const Sums low = (partial[0] + partial[4]) + (partial[2] + partial[6]);
    const Sums high = (partial[1] + partial[5]) + (partial[3] + partial[7]);
    const Sums joined = low + high;
    std::memcpy(out, &joined, n_rows * sizeof(float));
  }

  std::size_t n_tokens_;
  std::size_t n_lanes_;  // tokens of a block; those past the end are 0
  std::size_t n_cols_;
  std::size_t group_;  // columns
  std::size_t n_groups_;
  bool split_;            // of each 8 columns the even before the odd
  AlignedBuffer bytes_;   // [n_blocks, steps, kTerms, n_lanes, n_step]
  AlignedBuffer scales_;  // [n_blocks, n_groups, n_lanes], then sums alike
};

}  // namespace skua::cpu
