#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/cpu/attention.h"

namespace skua::cpu {

/** A query of a tile: all of them share one key head and one sequence. */
struct TileRow {
  std::size_t head = 0;
  std::size_t position = 0;
  std::size_t begin = 0, end = 0;  // the positions it sees
  const float* mask = nullptr;     // one number for each position from 0

  /** What it sees of the positions [first, first + kPage), counted from
   *  `first`; 0 and 0 where that is nothing. */
  std::pair<std::size_t, std::size_t> slots(std::size_t first) const {
    const std::size_t from = std::max(begin, first);
    const std::size_t to = std::min(end, first + kPage);
    if (from >= to) return {0, 0};
    return {from - first, to - first};
  }
};

/** Numbers that a row's running softmax takes: the mixed values, padded to
 *  whole strips, then the largest score and the sum of the weights. */
inline std::size_t sums_stride(const KvShape& kv) {
  return (kv.n_strips() + 1) * kLane;
}

/** Queries of a tile in the order in which attend_chunk reads them, scaled.
 *  queries  one pointer to key_dim numbers for each row */
void pack_queries(std::span<const float* const> queries, std::size_t key_dim,
                  float scale, std::vector<float>& packed);

/** Softmax and mix over the positions [first, first + kPage) that each row
 *  sees; `first` is a multiple of kPage.
 *  ahead  bytes from this head's page to the one read next, if any: a few
 *         rows ask for it in time
 *  sums  [rows, sums_stride] are written; the largest score is -infinity
 *        where a row sees none of the positions */
void attend_chunk(const AttentionShape& shape, std::span<const TileRow> rows,
                  const float* packed, const KvHead& head, std::size_t first,
                  std::uintptr_t ahead, float* sums);

/** Adds the sums of later positions to those of earlier ones. */
void merge_sums(const KvShape& kv, std::size_t n_rows, const float* later,
                float* sums);

}  // namespace skua::cpu
