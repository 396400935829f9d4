#pragma once

#include <cstddef>
#include <vector>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/attention_chunk.h"

namespace skua::cpu {

/** What append_and_attend() is given. */
struct AttentionInputs {
  const AttentionShape& shape;
  const AttentionShape& quantized;  // of pages from quantized_page on
  const float* q;
  const float* k;
  const float* v;
  float* out;

  std::size_t group() const { return shape.n_heads / shape.kv.n_kv_heads; }
  const AttentionShape& shape_of(std::size_t page) const {
    return page < shape.quantized_page ? shape : quantized;
  }
};

/** Rows [first, last) of a task for the query heads of one key head. */
struct AttentionTile {
  const AttentionTask* task;
  std::size_t kv_head, first, last;
  std::size_t n_kept;                  // chunks of what is kept apart
  std::size_t begin_chunk, end_chunk;  // of the windows of its rows
  bool appends;                        // the task's rows are all here
  bool rounded;                        // computed in bfloat16

  // Those kept come first; one may come again for the windows.
  std::size_t n_chunks() const { return n_kept + end_chunk - begin_chunk; }
  std::size_t chunk(std::size_t i) const {
    return i < n_kept ? i : begin_chunk + i - n_kept;
  }
};

/** A row of a tile for one of its heads, with the positions of its window. */
TileRow make_row(const AttentionInputs& in, const AttentionTile& tile,
                 std::size_t row, std::size_t head);

/** What it sees of the positions kept, where its window starts later. */
TileRow kept_row(const AttentionInputs& in, const TileRow& row);

/** All tiles, the longest of a task first, so that the last ones are short. */
std::vector<AttentionTile> make_tiles(const AttentionInputs& in,
                                      const std::vector<AttentionTask>& tasks);

}  // namespace skua::cpu
