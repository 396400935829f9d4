// Products of weight rows with many activations, both as bfloat16, in tiles.
// Included for the AMX instructions and, by a test, for a model of them.
#pragma once

#include <algorithm>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"
#include "kernels/cpu/bf16_panel.h"
#include "kernels/cpu/linear_input.h"
#include "kernels/cpu/tiles-inl.h"

namespace skua::cpu {

/** Tiles is a set of static functions:
 *    configure(const TileConfig&), release(), zero<tile>(),
 *    load<tile>(at, row_stride), load_once<tile>(at, row_stride), which leaves
 *    the cache as it is, store<tile>(at, row_stride),
 *    multiply_bf16<sums, a, b>(): adds products of pairs, as the instruction
 *    TDPBF16PS.
 *  Weights are the left factor, so that their rows need no transposition; a
 *  panel of them is decoded once for all tokens and stays in the cache. */
template <class Tiles>
class Bf16TileInput final : public LinearInput {
 public:
  Bf16TileInput(const MatrixView& w, const float* x, std::size_t n_tokens)
      : n_cols_(w.n_cols),
        n_token_tiles_((n_tokens + kTileLanes - 1) / kTileLanes),
        interleaved_(interleaves_columns(w)) {
    packed_ = AlignedBuffer(n_token_tiles_ * kTileLanes * n_cols_ *
                            sizeof(std::uint16_t));
    parallel_for(n_token_tiles_,
                 [&](std::size_t tile) { pack(x, n_tokens, tile); });
  }

  bool serves(const MatrixView& w) const override {
    return rounds_to_bf16(w.precision) && has_bf16_rows(w) &&
           interleaves_columns(w) == interleaved_;
  }

  PieceSize piece() const override { return {256, 2 * kTokensPerChunk}; }

  void multiply(const MatrixView& w, Range rows, Range tokens, float* out,
                std::size_t stride) const override {
    thread_local Bf16Panel panel;
    thread_local AlignedBuffer room;
    const Range tiles = token_tiles(tokens);
    const std::size_t n_rows =
        std::min<std::size_t>(tiles.size(), 2) * kTileLanes;
    const std::size_t n_columns = panel_columns();
    const std::size_t row_sums = tiles.size() * kTileWords;
    float* sums = sums_of(room, rows.size(), row_sums);
    panel.begin(w, rows);
    const Session session;
    for (std::size_t c = 0; c < n_cols_; c += n_columns) {
      const Range columns{c, std::min(c + n_columns, n_cols_)};
      for (std::size_t r = 0; r < rows.size(); r += n_rows) {
        panel.load({r, r + n_rows}, columns);
        // The hardware fetches ahead in long pieces of rows alone.
        WeightFetch next = n_columns > kBlockColumns
                               ? WeightFetch()
                               : panel.next({r, r + n_rows}, columns);
        for (std::size_t b = c; b < columns.end; b += kBlockColumns) {
          multiply_block(panel.tile(0) + (b - c) * kTileLanes, n_rows,
                         {b, std::min(b + kBlockColumns, columns.end)}, tiles,
                         sums + r / kTileLanes * row_sums, next);
        }
      }
    }
    store(sums, rows.size(), tokens.size(), out, stride);
  }

 private:
  // What is multiplied at a time of a panel stays in the first-level cache.
  static constexpr std::size_t kBlockColumns = 512;
  // As many as a panel of four bits needs in one pass over two tiles of tokens.
  static constexpr std::size_t kLinesPerStep = 8;
  static constexpr std::size_t kTileWords = kTileLanes * kTileLanes;
  using Panel = Bf16Panel;

  struct Session {
    Session() {
      TileConfig config;
      for (int tile = 0; tile < 8; ++tile) {
        config.rows[tile] = kTileLanes;
        config.row_bytes[tile] = 64;
      }
      Tiles::configure(config);
    }
    ~Session() { Tiles::release(); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
  };

  // Few tokens are as fast as weights are read, in long pieces. Of many, a
  // block of columns has to stay in the second-level cache while all rows pass.
  std::size_t panel_columns() const {
    return n_token_tiles_ <= 4 ? Panel::kMaxColumns : kBlockColumns;
  }

  static Range token_tiles(Range tokens) {
    return {tokens.begin / kTileLanes,
            (tokens.end + kTileLanes - 1) / kTileLanes};
  }

  // Of packed_: [blocks of columns][tiles of tokens][steps][pairs][tokens][2].
  std::size_t place_of(std::size_t first_column, std::size_t n_block_columns,
                       std::size_t token_tile) const {
    return kTileLanes *
           (n_token_tiles_ * first_column + token_tile * n_block_columns);
  }

  // Tokens past the end are 0.
  void pack(const float* x, std::size_t n_tokens, std::size_t tile) {
    thread_local std::vector<std::uint16_t> rounded;
    rounded.resize(kTileLanes * n_cols_);
    for (std::size_t t = 0; t < kTileLanes; ++t) {
      std::uint16_t* out = rounded.data() + t * n_cols_;
      const std::size_t token = tile * kTileLanes + t;
      if (token < n_tokens)
        round_bf16(x + token * n_cols_, n_cols_, interleaved_, out);
      else
        std::fill_n(out, n_cols_, std::uint16_t{0});
    }
    for (std::size_t c = 0; c < n_cols_; c += kBlockColumns) {
      const std::size_t n = std::min(kBlockColumns, n_cols_ - c);
      std::uint16_t* out = packed_.as<std::uint16_t>() + place_of(c, n, tile);
      for (std::size_t i = 0; i < n; i += kBf16Step, out += Panel::kTileNumbers)
        pack_step(rounded.data() + c + i, out);
    }
  }

  // A row of the tile holds two columns of all tokens.
  void pack_step(const std::uint16_t* rounded, std::uint16_t* out) const {
    alignas(64) std::uint16_t by_token[kTileLanes][kBf16Step];
    for (std::size_t t = 0; t < kTileLanes; ++t)
      std::copy_n(rounded + t * n_cols_, kBf16Step, by_token[t]);
    transpose_words(by_token, out);
  }

  // Adds a block of columns to the sums of a panel's rows.
  void multiply_block(const std::uint16_t* panel, std::size_t n_rows,
                      Range columns, Range tiles, float* sums,
                      WeightFetch& next) const {
    const std::size_t n_steps = columns.size() / kBf16Step;
    const std::size_t row_sums = tiles.size() * kTileWords;
    const std::uint16_t* x =
        packed_.as<std::uint16_t>() +
        place_of(columns.begin, columns.size(), tiles.begin);
    const std::size_t x_tile = n_steps * Panel::kTileNumbers;
    const bool is_first = columns.begin == 0;
    std::size_t t = 0;
    for (; t + 2 <= tiles.size(); t += 2) {
      multiply_square(panel, x + t * x_tile, x_tile, n_steps, is_first,
                      sums + t * kTileWords, row_sums, next);
    }
    if (t == tiles.size()) return;
    for (std::size_t r = 0; r < n_rows / kTileLanes; ++r) {
      multiply_one(panel + r * Panel::kRowTile, x + t * x_tile, n_steps,
                   is_first, sums + r * row_sums + t * kTileWords);
    }
  }

  // Tiles 0 to 3 hold sums, 4 and 5 weights, 6 and 7 activations.
  static void begin_sums(bool is_first, const float* s0) {
    begin_sums(true, nullptr, nullptr, nullptr, nullptr);
    if (!is_first) Tiles::template load<0>(s0, 64);
  }
  static void begin_sums(bool is_first, const float* s0, const float* s1,
                         const float* s2, const float* s3) {
    if (is_first) {
      Tiles::template zero<0>();
      Tiles::template zero<1>();
      Tiles::template zero<2>();
      Tiles::template zero<3>();
    } else {
      Tiles::template load<0>(s0, 64);
      Tiles::template load<1>(s1, 64);
      Tiles::template load<2>(s2, 64);
      Tiles::template load<3>(s3, 64);
    }
  }
  static void end_sums(float* s0, float* s1, float* s2, float* s3) {
    Tiles::template store<0>(s0, 64);
    Tiles::template store<1>(s1, 64);
    Tiles::template store<2>(s2, 64);
    Tiles::template store<3>(s3, 64);
  }

  // Two tiles of rows by two of tokens.
  static void multiply_square(const std::uint16_t* w, const std::uint16_t* x,
                              std::size_t x_tile, std::size_t n_steps,
                              bool is_first, float* sums, std::size_t row_sums,
                              WeightFetch& next) {
    float* below = sums + row_sums;
    begin_sums(is_first, sums, sums + kTileWords, below, below + kTileWords);
    for (std::size_t i = 0; i < n_steps; ++i) {
      next.some(kLinesPerStep);
      Tiles::template load<4>(w, 64);
      Tiles::template load_once<6>(x, 64);
      Tiles::template load_once<7>(x + x_tile, 64);
      Tiles::template multiply_bf16<0, 4, 6>();
      Tiles::template load<5>(w + Panel::kRowTile, 64);
      Tiles::template multiply_bf16<1, 4, 7>();
      Tiles::template multiply_bf16<2, 5, 6>();
      Tiles::template multiply_bf16<3, 5, 7>();
      w += Panel::kTileNumbers;
      x += Panel::kTileNumbers;
    }
    end_sums(sums, sums + kTileWords, below, below + kTileWords);
  }

  // A tile of rows by one of tokens. Four sums take turns, so that none waits
  // for itself.
  static void multiply_one(const std::uint16_t* w, const std::uint16_t* x,
                           std::size_t n_steps, bool is_first, float* sums) {
    alignas(64) float parts[3][kTileWords];
    begin_sums(is_first, sums);
    std::size_t i = 0;
    for (; i + 4 <= n_steps; i += 4) {
      multiply_step<0>(w, x);
      multiply_step<1>(w + Panel::kTileNumbers, x + Panel::kTileNumbers);
      multiply_step<2>(w + 2 * Panel::kTileNumbers,
                       x + 2 * Panel::kTileNumbers);
      multiply_step<3>(w + 3 * Panel::kTileNumbers,
                       x + 3 * Panel::kTileNumbers);
      w += 4 * Panel::kTileNumbers;
      x += 4 * Panel::kTileNumbers;
    }
    for (; i < n_steps; ++i, w += Panel::kTileNumbers, x += Panel::kTileNumbers)
      multiply_step<0>(w, x);
    end_sums(sums, parts[0], parts[1], parts[2]);
    add_parts(parts, sums);
  }
  template <int kSums>
  static void multiply_step(const std::uint16_t* w, const std::uint16_t* x) {
    constexpr int kOdd = kSums % 2;
    Tiles::template load<4 + kOdd>(w, 64);
    Tiles::template load_once<6 + kOdd>(x, 64);
    Tiles::template multiply_bf16<kSums, 4 + kOdd, 6 + kOdd>();
  }
  SKUA_TILE_TARGET static void add_parts(const float (*parts)[kTileWords],
                                         float* sums) {
    for (std::size_t i = 0; i < kTileWords; ++i)
      sums[i] = (sums[i] + parts[0][i]) + (parts[1][i] + parts[2][i]);
  }

  // [tiles of rows][tiles of tokens][rows][tokens].
  static float* sums_of(AlignedBuffer& room, std::size_t n_rows,
                        std::size_t row_sums) {
    const std::size_t n_tiles = (n_rows + Panel::kMaxRows - 1) /
                                Panel::kMaxRows * Panel::kMaxRows / kTileLanes;
    const std::size_t n_bytes = n_tiles * row_sums * sizeof(float);
    if (room.size() < n_bytes) room = AlignedBuffer(n_bytes);
    return room.as<float>();
  }

  static void store(const float* sums, std::size_t n_rows, std::size_t n_tokens,
                    float* out, std::size_t stride) {
    alignas(64) float by_token[kTileLanes][kTileLanes];
    const std::size_t row_sums =
        (n_tokens + kTileLanes - 1) / kTileLanes * kTileWords;
    for (std::size_t r = 0; r < n_rows; r += kTileLanes, sums += row_sums) {
      const std::size_t n = std::min(kTileLanes, n_rows - r);
      for (std::size_t t = 0; t < n_tokens; t += kTileLanes) {
        transpose_words(sums + t * kTileLanes, by_token);
        for (std::size_t i = 0; i < std::min(kTileLanes, n_tokens - t); ++i) {
          float* to = out + (t + i) * stride + r;
          // A constant length needs no call.
          if (n == kTileLanes)
            std::copy_n(by_token[i], kTileLanes, to);
          else
            std::copy_n(by_token[i], n, to);
        }
      }
    }
  }

  std::size_t n_cols_;
  std::size_t n_token_tiles_;
  bool interleaved_;
  AlignedBuffer packed_;
};

}  // namespace skua::cpu
