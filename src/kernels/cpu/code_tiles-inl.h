// Weight rows as bytes in the order of a tile of right factors. Included for
// the AMX instructions and, by a test, for a model of them.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/cpu/linear_input.h"
#include "kernels/cpu/linear_rows.h"
#include "kernels/cpu/tiles-inl.h"

namespace skua::cpu {

/** The codes of kTileLanes rows of a quantised matrix, and their scales. One
 *  for each thread; its memory is used again. */
class CodeTiles {
 public:
  /** Columns that decode() takes at a time. */
  static constexpr std::size_t kColumns = 64;

  /** For rows of w, at most kTileLanes. Rows past the end are those of another;
   *  nobody reads their results. */
  void begin(const MatrixView& w, Range rows) {
    n_groups_ = w.n_groups();
    splits_ = has_packed_tiles(w);
    set_rows(w, rows);
    set_scales(w, rows);
  }

  /** out[c / 4][row][c % 4]: the codes of kColumns columns, or those left. Of
   *  packed ones each 8 columns have the even before the odd. */
  SKUA_TILE_TARGET void decode(std::size_t column, std::uint8_t* out) const {
    if (splits_)
      decode_nibbles(rows_ + column / 2, out);
    else
      order_bytes(column, out);
  }

  /** Brings as much of the rows behind these into the cache as `n_columns`
   *  take, in the order of memory. */
  void fetch(std::size_t n_columns) {
    const std::size_t n_bytes = kTileLanes * n_columns / (splits_ ? 2 : 1);
    const std::uint8_t* const end = next_ + std::min(n_bytes, n_left_);
    n_left_ -= static_cast<std::size_t>(end - next_);
    for (; next_ < end; next_ += 64) __builtin_prefetch(next_, 0, 2);
  }

  /** Of a group, [kTileLanes]. */
  const float* scales(std::size_t group) const {
    return scales_.as<float>() + group * kTileLanes;
  }
  const float* biases(std::size_t group) const {
    return scales(padded(n_groups_) + group);
  }

 private:
  using Words = std::int32_t __attribute__((vector_size(64)));
  using HalfWords = std::int32_t __attribute__((vector_size(32)));

  static std::size_t padded(std::size_t n) {
    return (n + kTileLanes - 1) / kTileLanes * kTileLanes;
  }

  // In place, but where the matrix stores other codes or is at its end.
  void set_rows(const MatrixView& w, Range rows) {
    const bool stored =
        splits_ || (w.encoding == Encoding::kAffine && w.bits == 8);
    stride_ = stored ? w.row_bytes() : w.n_cols;
    n_row_bytes_ = stride_;
    rows_ = w.values + rows.begin * stride_;
    const std::size_t n_rows = std::min(kTileLanes, w.n_rows - rows.end);
    next_ = rows_ + rows.size() * stride_;
    n_left_ = stored ? n_rows * stride_ : 0;
    if (stored && rows.size() == kTileLanes) return;
    if (bytes_.size() < kTileLanes * stride_)
      bytes_ = AlignedBuffer(kTileLanes * stride_);
    std::uint8_t* out = bytes_.as<std::uint8_t>();
    for (std::size_t i = 0; i < rows.size(); ++i, out += stride_) {
      if (stored)
        std::memcpy(out, rows_ + i * stride_, stride_);
      else
        code_row(w, rows.begin + i, out);
    }
    rows_ = bytes_.as<std::uint8_t>();
  }

  void set_scales(const MatrixView& w, Range rows) {
    const std::size_t n = padded(n_groups_);
    const std::size_t n_bytes = 2 * n * kTileLanes * sizeof(float);
    if (scales_.size() < n_bytes) scales_ = AlignedBuffer(n_bytes);
    row_scales_.resize(2 * kTileLanes * n_groups_ + kTileLanes);
    float* scales = row_scales_.data();
    float* biases = scales + kTileLanes * n_groups_;
    scale_rows(w, rows.begin, rows.size(), scales, biases);
    order_scales(scales, scales_.as<float>());
    order_scales(biases, scales_.as<float>() + n * kTileLanes);
  }

  // [rows][groups] to [groups][rows].
  SKUA_TILE_TARGET void order_scales(const float* in, float* out) const {
    // Lanes past the last group read on; nobody reads what becomes of them.
    for (std::size_t g = 0; g < n_groups_; g += kTileLanes)
      transpose_words(in + g, n_groups_ * sizeof *in, out + g * kTileLanes,
                      kTileLanes * sizeof *out);
  }

  SKUA_TILE_TARGET void order_bytes(std::size_t column,
                                    std::uint8_t* out) const {
    const std::uint8_t* at = rows_ + column;
    const std::size_t n = std::min(kColumns, n_row_bytes_ - column);
    if (n == kColumns) return transpose_words(at, stride_, out, kColumns);
    alignas(64) std::uint8_t bytes[kTileLanes][kColumns] = {};
    for (std::size_t i = 0; i < kTileLanes; ++i)
      std::memcpy(bytes[i], at + i * stride_, n);
    transpose_words(bytes, out);
  }

  // Two rows, four apart.
  SKUA_INLINE_TARGET Words two_rows(const std::uint8_t* at) const {
    HalfWords a, b;
    std::memcpy(&a, at, sizeof a);
    std::memcpy(&b, at + 4 * stride_, sizeof b);
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
                                   12, 13, 14, 15);
  }

  // The words of 64 nibbles of each row change places with the rows while they
  // are packed, which takes half the steps.
  SKUA_TILE_TARGET void decode_nibbles(const std::uint8_t* at,
                                       std::uint8_t* out) const {
    Words v[8];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < 8; ++i)
      v[i] = two_rows(at + (i / 4 * 8 + i % 4) * stride_);
    transpose_fours(v);
    transpose_fours(v + 4);
    constexpr std::int32_t kLow = 0x0f0f0f0f;
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) {
      const Words words[2] = {
          __builtin_shufflevector(v[i], v[i + 4], 0, 1, 2, 3, 8, 9, 10, 11, 16,
                                  17, 18, 19, 24, 25, 26, 27),
          __builtin_shufflevector(v[i], v[i + 4], 4, 5, 6, 7, 12, 13, 14, 15,
                                  20, 21, 22, 23, 28, 29, 30, 31)};
#pragma GCC unroll 2
      for (std::size_t half = 0; half < 2; ++half) {
        const Words even = words[half] & kLow, odd = words[half] >> 4 & kLow;
        std::uint8_t* to = out + (4 * half + i) * 2 * sizeof(Words);
        std::memcpy(to, &even, sizeof even);
        std::memcpy(to + sizeof even, &odd, sizeof odd);
      }
    }
  }

  // Of 4 x 4 words in each 128 bits of four vectors.
  SKUA_INLINE_TARGET static void transpose_fours(Words* v) {
    const Words a = low_words(v[0], v[2]), b = high_words(v[0], v[2]);
    const Words c = low_words(v[1], v[3]), d = high_words(v[1], v[3]);
    v[0] = low_words(a, c);
    v[1] = high_words(a, c);
    v[2] = low_words(b, d);
    v[3] = high_words(b, d);
  }
  SKUA_INLINE_TARGET static Words low_words(Words a, Words b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9,
                                   25, 12, 28, 13, 29);
  }
  SKUA_INLINE_TARGET static Words high_words(Words a, Words b) {
    return __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11,
                                   27, 14, 30, 15, 31);
  }

  std::size_t n_groups_ = 0, stride_ = 0, n_row_bytes_ = 0;
  bool splits_ = false;
  const std::uint8_t* rows_ = nullptr;
  const std::uint8_t* next_ = nullptr;  // to be fetched
  std::size_t n_left_ = 0;              // bytes from there
  AlignedBuffer bytes_;
  std::vector<float> row_scales_;
  AlignedBuffer scales_;  // [n_groups, kTileLanes], then the biases
};

}  // namespace skua::cpu
