#include "kernels/cpu/attention_plan.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "kernels/cpu/attention_amx.h"

namespace skua::cpu {
namespace {

// Queries whose keys and values are widened once: more would not fit the
// second cache with them.
constexpr std::size_t kTileRows = 48;
// The same in bfloat16, where products cost less than reading the keys: more
// where that leaves enough tiles to choose from.
constexpr std::size_t kMostRoundedRows = 512, kLeastRoundedRows = 64;
constexpr std::size_t kRoundedTilesPerThread = 4;

std::size_t divided(std::size_t n, std::size_t by) {
  return (n + by - 1) / by;
}

std::size_t rows_of_tile(const AttentionInputs& in, const AttentionTask& task,
                         bool rounded) {
  if (!rounded) return std::max<std::size_t>(1, kTileRows / in.group());
  const std::size_t n_tiles =
      kRoundedTilesPerThread * static_cast<std::size_t>(thread_count());
  const std::size_t n_parts =
      std::max(divided(task.n_rows * in.group(), kMostRoundedRows),
               divided(n_tiles, in.shape.kv.n_kv_heads));
  return std::max(divided(task.n_rows, n_parts),
                  divided(kLeastRoundedRows, in.group()));
}

// Who keeps keys and values in 32 bits wants them.
bool is_rounded(const AttentionInputs& in, const AttentionTask& task) {
  const AttentionShape& shape = in.shape;
  const KvType type =
      shape.quantized_page == 0 ? shape.quantized_type : shape.kv.type;
  return shape.may_round && type != KvType::kF32 &&
         task.n_rows >= kMinAttentionRows && has_amx_attention();
}

}  // namespace

TileRow make_row(const AttentionInputs& in, const AttentionTile& t,
                 std::size_t row, std::size_t head) {
  const AttentionShape& shape = in.shape;
  TileRow r;
  r.head = head;
  r.position = t.task->position + row;
  r.end = shape.causal ? r.position + 1 : t.task->position + t.task->n_rows;
  if (shape.window != 0 && r.position + 1 > shape.window)
    r.begin = r.position + 1 - shape.window;
  if (shape.mask != nullptr)
    r.mask = shape.mask + (t.task->first_row + row) * shape.mask_columns;
  return r;
}

TileRow kept_row(const AttentionInputs& in, const TileRow& row) {
  TileRow r = row;
  r.begin = 0;
  r.end = std::min(in.shape.keep, row.begin);
  return r;
}

std::vector<AttentionTile> make_tiles(const AttentionInputs& in,
                                      const std::vector<AttentionTask>& tasks) {
  std::vector<AttentionTile> tiles;
  for (const AttentionTask& task : tasks) {
    const bool rounded = is_rounded(in, task);
    const std::size_t rows = rows_of_tile(in, task, rounded);
    for (std::size_t last = task.n_rows; last > 0;) {
      const std::size_t first = last > rows ? last - rows : 0;
      AttentionTile t{&task, 0, first, last, 0, 0, 0, false, rounded};
      const TileRow oldest = make_row(in, t, first, 0);
      const TileRow newest = make_row(in, t, last - 1, 0);
      t.n_kept = (kept_row(in, newest).end + kPage - 1) / kPage;
      t.begin_chunk = oldest.begin / kPage;
      t.end_chunk = (newest.end + kPage - 1) / kPage;
      // A page that comes twice must not be written between.
      t.appends = first == 0 && last == task.n_rows && t.n_kept == 0;
      for (; t.kv_head < in.shape.kv.n_kv_heads; ++t.kv_head)
        tiles.push_back(t);
      last = first;
    }
  }
  return tiles;
}

}  // namespace skua::cpu
