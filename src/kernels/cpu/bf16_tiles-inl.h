// Products of weight rows with many activations, both as bfloat16, in tiles.
// Included for the AMX instructions and, by a test, for a model of them.
#pragma once

#include <algorithm>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"
#include "kernels/cpu/bf16_activations-inl.h"
#include "kernels/cpu/bf16_panels.h"
#include "kernels/cpu/linear_grid.h"
#include "kernels/cpu/linear_input.h"
#include "kernels/cpu/tiles-inl.h"

namespace skua::cpu {

/** Tiles is a set of static functions:
 *    configure(const TileConfig&), release(), zero<tile>(),
 *    load<tile>(at, row_stride), load_once<tile>(at, row_stride), which leaves
 *    the cache as it is, store<tile>(at, row_stride),
 *    multiply_bf16<sums, a, b>(): adds products of pairs, as the instruction
 *    TDPBF16PS.
 *  Decoders::visit(w, f) calls f.operator()<Decoder>() with what decodes w;
 *  Decoders::pairs() is the rounding of Bf16Activations.
 *  A Decoder of a Bf16Part has eighth<0 to 7>(), which together decode a unit,
 *  kUnitColumns of a row, and finish(part), which decodes what is left.
 *  Weights are the left factor, so that their rows need no transposition. A
 *  part of them is multiplied while the next is decoded. */
template <class Tiles, class Decoders>
class Bf16TileInput final : public LinearInput {
 public:
  Bf16TileInput(const MatrixView& w, const float* x, std::size_t n_tokens)
      : Bf16TileInput(w, n_tokens) {
    x_.fill(x);
  }

  bool serves(const MatrixView& w) const override {
    return rounds_to_bf16(w.precision) && has_bf16_rows(w) &&
           interleaves_columns(w) == x_.interleaved();
  }

  PieceSize piece() const override { return {256, 2 * kTokensPerChunk}; }

  void multiply(const MatrixView& w, Range rows, Range tokens, float* out,
                std::size_t stride) const override {
    float* sums = sums_of(1, rows, tokens);
    sum_up(w, rows, tokens, sums);
    for_each_tile(rows, tokens,
                  [&](std::size_t r, std::size_t t, std::size_t at) {
                    store_tile(sums + at, std::min(kTileLanes, rows.size() - r),
                               std::min(kTileLanes, tokens.size() - t),
                               out + t * stride + r, stride);
                  });
  }

  /** The input for w of gated products of all tokens. */
  std::unique_ptr<LinearInput> gated_input(const MatrixView& w_gate,
                                           const MatrixView& w_up,
                                           GateFunction activation,
                                           const MatrixView& w) const {
    std::unique_ptr<Bf16TileInput> next(new Bf16TileInput(w, x_.n_tokens()));
    const Grid grid{w_gate.n_rows, x_.n_tokens(),
                    piece_for(*this, w_gate, w_gate.n_rows, x_.n_tokens())};
    parallel_for(grid.n_chunks(), [&](std::size_t chunk) {
      const Range rows = grid.rows(chunk), tokens = grid.tokens(chunk);
      float* gate = sums_of(2, rows, tokens);
      float* up = gate + n_sums(rows, tokens);
      sum_up(w_gate, rows, tokens, gate);
      sum_up(w_up, rows, tokens, up);
      for_each_tile(
          rows, tokens, [&](std::size_t r, std::size_t t, std::size_t at) {
            activation(gate + at, up + at, kTileWords, gate + at);
            next->x_.template put<Decoders>(
                rows.begin + r, (tokens.begin + t) / kTileLanes, gate + at);
          });
    });
    return next;
  }

 private:
  static constexpr std::size_t kBlockColumns = Bf16Activations::kBlockColumns;
  static constexpr std::size_t kTileWords = kTileLanes * kTileLanes;
  static constexpr std::size_t kTileNumbers = Bf16Part::kTileNumbers;

  Bf16TileInput(const MatrixView& w, std::size_t n_tokens)
      : x_(n_tokens, w.n_cols, interleaves_columns(w)) {}

  static Range token_tiles(Range tokens) {
    return {tokens.begin / kTileLanes,
            (tokens.end + kTileLanes - 1) / kTileLanes};
  }

  // Tiles of tokens whose sums stay in tiles over a whole row.
  static constexpr std::size_t kKeptTiles = 2;
  static constexpr std::size_t kManyTiles = 8;
  // Few tokens pass whole rows, as memory is read best; of many, a block of
  // columns stays in the second-level cache while all rows pass.
  static Bf16Panels::Order order_for(std::size_t n_tiles) {
    return n_tiles <= 2 * kKeptTiles ? Bf16Panels::Order::kAlongRows
                                     : Bf16Panels::Order::kAlongColumns;
  }
  // Two parts stay in the first-level cache; where they serve many tokens,
  // their sums are read and written less often.
  static std::size_t part_columns(std::size_t n_tiles) {
    return n_tiles <= kManyTiles ? kBlockColumns / 2 : kBlockColumns;
  }

  void sum_up(const MatrixView& w, Range rows, Range tokens,
              float* sums) const {
    Decoders::visit(
        w, [&]<class Decoder>() { sum_up<Decoder>(w, rows, tokens, sums); });
  }

  template <class Decoder>
  void sum_up(const MatrixView& w, Range rows, Range tokens,
              float* sums) const {
    thread_local Bf16Panels panels;
    const Range tiles = token_tiles(tokens);
    panels.begin(w, rows, part_columns(tiles.size()), order_for(tiles.size()));
    const TileSession<Tiles> session;
    Bf16Part part = panels.part(0);
    Decoder(part).finish(part);
    for (std::size_t i = 1; part.w != nullptr; ++i) {
      const Bf16Part next = panels.part(i);
      Decoder ahead(next);
      float* part_sums =
          sums + (part.rows.begin - rows.begin) * tiles.size() * kTileLanes;
      multiply_part(part, tiles, part_sums, ahead);
      ahead.finish(next);
      part = next;
    }
  }

  // The units of the next part are spread over the steps of this one.
  template <class Decoder>
  void multiply_part(const Bf16Part& part, Range tiles, float* sums,
                     Decoder& ahead) const {
    if (tiles.size() > kManyTiles)
      multiply_part<1>(part, tiles, sums, ahead);
    else if (tiles.size() > 4)
      multiply_part<2>(part, tiles, sums, ahead);
    else
      multiply_part<4>(part, tiles, sums, ahead);
  }

  // Adds a part's columns to the sums of its rows.
  template <int kUnits, class Decoder>
  void multiply_part(const Bf16Part& part, Range tiles, float* sums,
                     Decoder& ahead) const {
    const std::size_t n_steps = part.columns.size() / kBf16Step;
    const std::size_t row_sums = tiles.size() * kTileWords;
    const std::uint16_t* x = x_.tile(part.columns.begin, tiles.begin);
    const std::size_t x_tile = x_.tile_numbers(part.columns.begin);
    const bool keeps = tiles.size() <= kKeptTiles;
    const Sums in_memory{nullptr, row_sums, part.columns.begin == 0, !keeps,
                         !keeps || part.columns.end == x_.n_cols()};
    const auto sums_at = [&](std::size_t t) {
      Sums at = in_memory;
      at.above = sums + t * kTileWords;
      return at;
    };
    std::size_t t = 0;
    for (; t + 2 <= tiles.size(); t += 2) {
      multiply_square<kUnits>(part.out, x + t * x_tile, x_tile, n_steps,
                              sums_at(t), ahead);
    }
    if (t < tiles.size()) {
      multiply_column<kUnits>(part.out, x + t * x_tile, n_steps, sums_at(t),
                              ahead);
    }
  }

  // Two tiles of rows by one or two of tokens.
  struct Sums {
    float* above;
    std::size_t row_sums;
    bool begins, is_loaded, is_stored;

    template <int kTile>
    void begin() const {
      if (begins)
        Tiles::template zero<kTile>();
      else if (is_loaded)
        Tiles::template load<kTile>(at(kTile), 64);
    }
    template <int kTile>
    void end() const {
      if (is_stored) Tiles::template store<kTile>(at(kTile), 64);
    }

   private:
    float* at(int tile) const {
      return above + (tile / 2 == 0 ? 0 : row_sums) + tile % 2 * kTileWords;
    }
  };

  // What is decoded in one of the eight places of a step.
  template <int kUnits, int kPlace, int kDone = 0, class Decoder>
  SKUA_INLINE_TARGET static void decode(Decoder& ahead) {
    ahead.template eighth<(kPlace * kUnits + kDone) % 8>();
    if constexpr (kDone + 1 < kUnits) decode<kUnits, kPlace, kDone + 1>(ahead);
  }

  // Two tiles of rows by two of tokens. Tiles 0 to 3 hold sums, 4 and 5
  // weights, 6 and 7 activations.
  template <int kUnits, class Decoder>
  SKUA_TILE_TARGET static void multiply_square(
      const std::uint16_t* w, const std::uint16_t* x, std::size_t x_tile,
      std::size_t n_steps, const Sums& sums, Decoder& decoder) {
    sums.template begin<0>();
    sums.template begin<1>();
    sums.template begin<2>();
    sums.template begin<3>();
    // In registers.
    Decoder ahead = decoder;
    for (std::size_t i = 0; i < n_steps; ++i) {
      Tiles::template load<4>(w, 64);
      decode<kUnits, 0>(ahead);
      Tiles::template load_once<6>(x, 64);
      decode<kUnits, 1>(ahead);
      Tiles::template load_once<7>(x + x_tile, 64);
      decode<kUnits, 2>(ahead);
      Tiles::template multiply_bf16<0, 4, 6>();
      decode<kUnits, 3>(ahead);
      Tiles::template load<5>(w + kTileNumbers, 64);
      decode<kUnits, 4>(ahead);
      Tiles::template multiply_bf16<1, 4, 7>();
      decode<kUnits, 5>(ahead);
      Tiles::template multiply_bf16<2, 5, 6>();
      decode<kUnits, 6>(ahead);
      Tiles::template multiply_bf16<3, 5, 7>();
      decode<kUnits, 7>(ahead);
      w += Bf16Part::kStepNumbers;
      x += kTileNumbers;
    }
    decoder = ahead;
    sums.template end<0>();
    sums.template end<1>();
    sums.template end<2>();
    sums.template end<3>();
  }

  // Two tiles of rows by one of tokens.
  template <int kUnits, class Decoder>
  SKUA_TILE_TARGET static void multiply_column(const std::uint16_t* w,
                                               const std::uint16_t* x,
                                               std::size_t n_steps,
                                               const Sums& sums,
                                               Decoder& decoder) {
    sums.template begin<0>();
    sums.template begin<2>();
    Decoder ahead = decoder;
    for (std::size_t i = 0; i < n_steps; ++i) {
      decode<kUnits, 0>(ahead);
      Tiles::template load_once<6>(x, 64);
      decode<kUnits, 1>(ahead);
      Tiles::template load<4>(w, 64);
      decode<kUnits, 2>(ahead);
      decode<kUnits, 3>(ahead);
      Tiles::template multiply_bf16<0, 4, 6>();
      decode<kUnits, 4>(ahead);
      Tiles::template load<5>(w + kTileNumbers, 64);
      decode<kUnits, 5>(ahead);
      decode<kUnits, 6>(ahead);
      Tiles::template multiply_bf16<2, 5, 6>();
      decode<kUnits, 7>(ahead);
      w += Bf16Part::kStepNumbers;
      x += kTileNumbers;
    }
    decoder = ahead;
    sums.template end<0>();
    sums.template end<2>();
  }

  // [tiles of rows][tiles of tokens][rows][tokens].
  static std::size_t n_sums(Range rows, Range tokens) {
    const std::size_t n_parts =
        (rows.size() + Bf16Part::kMaxRows - 1) / Bf16Part::kMaxRows;
    return n_parts * Bf16Part::kMaxRows * token_tiles(tokens).size() *
           kTileLanes;
  }
  static float* sums_of(std::size_t n_matrices, Range rows, Range tokens) {
    thread_local AlignedBuffer room;
    const std::size_t n_bytes =
        n_matrices * n_sums(rows, tokens) * sizeof(float);
    if (room.size() < n_bytes) room = AlignedBuffer(n_bytes);
    return room.as<float>();
  }

  // body(row, token, at) of each tile of sums, whose first row and token it is.
  // Tokens come last, as their results lie far from each other.
  template <class Body>
  static void for_each_tile(Range rows, Range tokens, const Body& body) {
    const std::size_t row_sums = token_tiles(tokens).size() * kTileWords;
    for (std::size_t t = 0; t < tokens.size(); t += kTileLanes) {
      for (std::size_t r = 0; r < rows.size(); r += kTileLanes)
        body(r, t, r / kTileLanes * row_sums + t * kTileLanes);
    }
  }

  SKUA_TILE_TARGET static void store_tile(const float* tile, std::size_t n_rows,
                                          std::size_t n_tokens, float* out,
                                          std::size_t stride) {
    if (n_rows == kTileLanes && n_tokens == kTileLanes)
      return transpose_words(tile, 4 * kTileLanes, out, stride * sizeof *out);
    alignas(64) float by_token[kTileLanes][kTileLanes];
    transpose_words(tile, by_token);
    for (std::size_t i = 0; i < n_tokens; ++i)
      std::copy_n(by_token[i], n_rows, out + i * stride);
  }

  Bf16Activations x_;
};

}  // namespace skua::cpu
