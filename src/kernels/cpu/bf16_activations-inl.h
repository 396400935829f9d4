// Activations as bfloat16 in tiles, the right factor of products.
// Included for the AMX instructions and, by a test, for a model of them.
#pragma once

#include <algorithm>

#include "base/thread_pool.h"
#include "kernels/cpu/bf16_panels.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/tiles-inl.h"

namespace skua::cpu {

/** Of n_tokens rows of n_cols columns, in blocks of columns:
 *  [blocks][tiles of tokens][steps][pairs of columns][tokens][2]. Tokens past
 *  the end are 0. */
class Bf16Activations {
 public:
  static constexpr std::size_t kBlockColumns = Bf16Part::kMaxColumns;

  Bf16Activations(std::size_t n_tokens, std::size_t n_cols, bool interleaved)
      : n_tokens_(n_tokens),
        n_cols_(n_cols),
        n_tiles_((n_tokens + kTileLanes - 1) / kTileLanes),
        interleaved_(interleaved),
        numbers_(n_tiles_ * kTileLanes * n_cols * sizeof(std::uint16_t)) {}

  std::size_t n_tokens() const { return n_tokens_; }
  std::size_t n_cols() const { return n_cols_; }
  /** True if the columns are in the order of interleaves_columns(). */
  bool interleaved() const { return interleaved_; }

  /** Rounds x [n_tokens, n_cols]. */
  void fill(const float* x) {
    const std::size_t n_blocks = (n_cols_ + kBlockColumns - 1) / kBlockColumns;
    parallel_for(n_blocks * n_tiles_, [&](std::size_t i) {
      pack(x, i % n_tiles_, i / n_tiles_ * kBlockColumns);
    });
  }

  /** Rounds 16 columns of a tile of tokens, numbers[column][token].
   *  Rounding::pairs(a, b, out) rounds 16 pairs (a[i], b[i]). */
  template <class Rounding>
  SKUA_TILE_TARGET void put(std::size_t first_column, std::size_t token_tile,
                            const float* numbers) {
    const bool woven =
        interleaved_ && first_column < n_cols_ / kUnitColumns * kUnitColumns;
    const std::size_t apart = woven ? kInterleaved / kBf16Step : 1;
    for (std::size_t i = 0; i < kTileLanes / 2; ++i) {
      const std::size_t c = i / apart * 2 * apart + i % apart;
      Rounding::pairs(
          numbers + c * kTileLanes, numbers + (c + apart) * kTileLanes,
          at(woven ? interleaved_place(first_column + c) : first_column + c,
             token_tile));
    }
  }

  /** The numbers of a tile of tokens, from a column that begins a step. */
  const std::uint16_t* tile(std::size_t column, std::size_t token_tile) const {
    return const_cast<Bf16Activations*>(this)->at(column, token_tile);
  }
  /** Numbers from a tile of tokens to the next in the block of a column. */
  std::size_t tile_numbers(std::size_t column) const {
    const std::size_t block = column / kBlockColumns * kBlockColumns;
    return std::min(kBlockColumns, n_cols_ - block) * kTileLanes;
  }

 private:
  // The first token's number of an even place.
  std::uint16_t* at(std::size_t place, std::size_t token_tile) {
    const std::size_t in_block = place % kBlockColumns;
    const std::size_t in_step = place % kBf16Step;
    const std::size_t before = kTileLanes * n_tiles_ * (place - in_block) +
                               token_tile * tile_numbers(place) +
                               (in_block - in_step) * kTileLanes;
    return numbers_.as<std::uint16_t>() + before + in_step * kTileLanes;
  }

  SKUA_TILE_TARGET void pack(const float* x, std::size_t tile,
                             std::size_t column) {
    alignas(64) std::uint16_t rounded[kTileLanes][kBlockColumns];
    const std::size_t n = std::min(kBlockColumns, n_cols_ - column);
    for (std::size_t t = 0; t < kTileLanes; ++t) {
      const std::size_t token = tile * kTileLanes + t;
      if (token < n_tokens_)
        round_bf16(x + token * n_cols_ + column, n, interleaved_, rounded[t]);
      else
        std::fill_n(rounded[t], n, std::uint16_t{0});
    }
    std::uint16_t* out = at(column, tile);
    for (std::size_t i = 0; i < n;
         i += kBf16Step, out += kTileLanes * kBf16Step) {
      // A row of the tile holds two columns of all tokens.
      transpose_words(rounded[0] + i, sizeof rounded[0], out,
                      kBf16Step * sizeof *out);
    }
  }

  std::size_t n_tokens_, n_cols_, n_tiles_;
  bool interleaved_;
  KeptBuffer numbers_;
};

}  // namespace skua::cpu
