#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/cpu/attention_chunk.h"

namespace skua::cpu {

/** Fewer new rows of a sequence do not pay for the tiles. */
inline constexpr std::size_t kMinAttentionRows = 16;

/** True if attend_chunk_amx runs at this process's level. */
bool has_amx_attention();

/** Rows that attend_chunk_amx reads and writes for n: whole tiles. */
constexpr std::size_t tile_rows(std::size_t n) {
  return (n + 15) / 16 * 16;
}

/** Queries of a tile, scaled, as sums of two numbers of bfloat16, in the order
 *  in which attend_chunk_amx reads them.
 *  queries  one pointer to key_dim numbers for each row */
void pack_queries_bf16(std::span<const float* const> queries,
                       const KvShape& shape, float scale,
                       AlignedBuffer& packed);

/** As attend_chunk, but on AMX tiles of bfloat16, and goes on with the sums of
 *  earlier positions.
 *  sums  [tile_rows(rows.size()), sums_stride], at first 0 and -infinity as the
 *        largest score
 *  The bits of a row's sums do not depend on the other rows. */
void attend_chunk_amx(const AttentionShape& shape,
                      std::span<const TileRow> rows,
                      const std::uint16_t* queries, const KvHead& head,
                      std::size_t first, float* sums);

}  // namespace skua::cpu
