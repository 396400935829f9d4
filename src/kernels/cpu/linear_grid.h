// How the products of a linear layer are shared among threads.
#pragma once

#include <algorithm>

#include "base/thread_pool.h"
#include "kernels/cpu/linear_input.h"

namespace skua::cpu {

/** Few tokens wait for the weights, and memory is read faster in long pieces;
 *  enough of them are left for the threads to share evenly. n_rows are those of
 *  all matrices of a call. */
inline PieceSize piece_for(const LinearInput& input, const MatrixView& w,
                           std::size_t n_rows, std::size_t n_tokens) {
  constexpr std::size_t kFewTokens = 20;
  constexpr std::size_t kPieceBytes = 512 * 1024;
  constexpr std::size_t kPiecesPerThread = 4;
  PieceSize piece = input.piece();
  if (n_tokens >= kFewTokens) return piece;
  const std::size_t n_pieces =
      kPiecesPerThread * static_cast<std::size_t>(thread_count());
  const std::size_t even = (n_rows / n_pieces + 63) / 64 * 64;
  const std::size_t large = kPieceBytes / w.row_bytes() / 64 * 64;
  piece.n_rows = std::max<std::size_t>(64, std::min(even, large));
  return piece;
}

/** The pieces of [n_rows] x [n_tokens], those of the same tokens one after the
 *  other. */
struct Grid {
  std::size_t n_rows, n_tokens;
  PieceSize piece;

  std::size_t n_chunks() const {
    return pieces(n_rows, piece.n_rows) * pieces(n_tokens, piece.n_tokens);
  }
  Range rows(std::size_t chunk) const {
    const std::size_t begin =
        chunk % pieces(n_rows, piece.n_rows) * piece.n_rows;
    return {begin, std::min(begin + piece.n_rows, n_rows)};
  }
  Range tokens(std::size_t chunk) const {
    const std::size_t begin =
        chunk / pieces(n_rows, piece.n_rows) * piece.n_tokens;
    return {begin, std::min(begin + piece.n_tokens, n_tokens)};
  }

 private:
  static std::size_t pieces(std::size_t n, std::size_t size) {
    return (n + size - 1) / size;
  }
};

}  // namespace skua::cpu
