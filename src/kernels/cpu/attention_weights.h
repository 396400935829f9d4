#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/cpu/attention_chunk.h"
#include "kernels/cpu/linear_input.h"

namespace skua::cpu {

/** Goes on with each row's softmax: scores of some of the positions
 *  [first, first + kPage) become the weights of their values, e^(score - the
 *  largest so far), which is 0 where a row does not see.
 *  rows     those of the scores
 *  slots    positions computed, counted from `first`: multiples of 32 that
 *           hold all that any row sees; other weights stay as they are
 *  scores   [rows, kPage] q . k, overwritten
 *  weights  [rows, kPage] as bfloat16, rounded to nearest even
 *  sums     [rows, sums_stride] of earlier positions are brought to the new
 *           largest score; the weights join their sum before they are rounded
 *  Source of the algorithm: Milakov and Gimelshein, "Online normalizer
 *  calculation for softmax". */
void weigh_scores(const AttentionShape& shape, std::span<const TileRow> rows,
                  const KvHead& head, std::size_t first, Range slots,
                  float* scores, std::uint16_t* weights, float* sums);

}  // namespace skua::cpu
