#include "kernels/cpu/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>

#include "base/thread_pool.h"
#include "kernels/cpu/attention_chunk.h"

namespace skua::cpu {
namespace {

// Queries whose keys and values are widened once: more would not fit the
// second cache with them.
constexpr std::size_t kTileRows = 48;
// Chunks that each thread can choose from, at least.
constexpr std::size_t kItemsPerThread = 8;

struct Inputs {
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

// Rows [first, last) of a task for the query heads of one key head.
struct Tile {
  const AttentionTask* task;
  std::size_t kv_head, first, last;
  std::size_t n_kept;                  // chunks of what is kept apart
  std::size_t begin_chunk, end_chunk;  // of the windows of its rows
  bool appends;                        // the task's rows are all here

  // Those kept come first; one may come again for the windows.
  std::size_t n_chunks() const { return n_kept + end_chunk - begin_chunk; }
  std::size_t chunk(std::size_t i) const {
    return i < n_kept ? i : begin_chunk + i - n_kept;
  }
};

// A tile whose chunks are computed apart and merged by whoever is last.
struct Split {
  Split(std::size_t n_chunks, std::size_t size)
      : left(n_chunks),
        sums(std::make_unique_for_overwrite<float[]>(n_chunks * size)) {}
  std::atomic<std::size_t> left;
  std::unique_ptr<float[]> sums;  // [chunks, rows, stride]
};

struct Item {
  const Tile* tile;
  Split* split;   // null: all chunks at once
  std::size_t i;  // of the tile's chunks
};

// Buffers of a thread.
struct Space {
  std::vector<TileRow> rows;
  std::vector<TileRow> kept;  // the same, for what they see before it
  std::vector<const float*> queries;
  std::vector<float> packed, sums, later;
};

TileRow make_row(const Inputs& in, const Tile& t, std::size_t row,
                 std::size_t head) {
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

// What a row sees of the positions kept, where its window starts later.
TileRow kept_row(const Inputs& in, const TileRow& row) {
  TileRow r = row;
  r.begin = 0;
  r.end = std::min(in.shape.keep, row.begin);
  return r;
}

void gather_rows(const Inputs& in, const Tile& t, Space& space) {
  const std::size_t d = in.shape.kv.key_dim;
  space.rows.clear();
  space.kept.clear();
  space.queries.clear();
  for (std::size_t row = t.first; row < t.last; ++row) {
    for (std::size_t h = 0; h < in.group(); ++h) {
      const std::size_t head = t.kv_head * in.group() + h;
      space.rows.push_back(make_row(in, t, row, head));
      if (t.n_kept != 0) space.kept.push_back(kept_row(in, space.rows.back()));
      const std::size_t at =
          (t.task->first_row + row) * in.shape.n_heads + head;
      space.queries.push_back(in.q + at * d);
    }
  }
  pack_queries(space.queries, d, in.shape.scale, space.packed);
}

// The task's new rows whose positions lie in a chunk.
void append(const Inputs& in, const AttentionTask& task, std::size_t kv_head,
            std::size_t chunk) {
  const KvShape& kv = in.shape_of(chunk).kv;
  const std::size_t from = std::max(chunk * kPage, task.position);
  const std::size_t to =
      std::min((chunk + 1) * kPage, task.position + task.n_rows);
  if (from >= to) return;
  const std::size_t row = task.first_row + from - task.position;
  const std::size_t k_stride = kv.n_kv_heads * kv.key_dim;
  const std::size_t v_stride = kv.n_kv_heads * kv.value_dim;
  write_rows(kv, head_of(kv, task.pages[chunk], kv_head), from % kPage,
             to - from, in.k + row * k_stride + kv_head * kv.key_dim, k_stride,
             in.v + row * v_stride + kv_head * kv.value_dim, v_stride);
}

void compute(const Inputs& in, const Tile& t, const Space& space, std::size_t i,
             float* sums) {
  const std::size_t chunk = t.chunk(i);
  if (t.appends) append(in, *t.task, t.kv_head, chunk);
  const AttentionShape& shape = in.shape_of(chunk);
  attend_chunk(
      shape, i < t.n_kept ? space.kept : space.rows, space.packed.data(),
      head_of(shape.kv, t.task->pages[chunk], t.kv_head), chunk * kPage, sums);
}

// One row's result: its sink joins the sum, without a value.
void finish(const Inputs& in, const TileRow& row, const float* sums,
            float* out) {
  const KvShape& kv = in.shape.kv;
  const float max = sums[kv.n_strips() * kLane];
  float sum = sums[kv.n_strips() * kLane + 1];
  float factor = 1;
  if (in.shape.sinks != nullptr) {
    const float sink = in.shape.sinks[row.head];
    const float most = std::max(max, sink);
    factor = std::exp(max - most);
    sum = sum * factor + std::exp(sink - most);
  }
  factor = sum == 0 ? 0 : factor / sum;
  for (std::size_t i = 0; i < kv.value_dim; ++i) out[i] = factor * sums[i];
}

void finish(const Inputs& in, const Tile& t, const Space& space,
            const float* sums) {
  const std::size_t stride = sums_stride(in.shape.kv);
  for (std::size_t i = 0; i < space.rows.size(); ++i) {
    const std::size_t row = t.task->first_row + t.first + i / in.group();
    const std::size_t at = row * in.shape.n_heads + space.rows[i].head;
    finish(in, space.rows[i], sums + i * stride,
           in.out + at * in.shape.kv.value_dim);
  }
}

void run(const Inputs& in, const Item& item) {
  thread_local Space space;
  const Tile& t = *item.tile;
  const KvShape& kv = in.shape.kv;
  gather_rows(in, t, space);
  const std::size_t size = space.rows.size() * sums_stride(kv);
  if (item.split == nullptr) {
    space.sums.resize(size);
    space.later.resize(size);
    compute(in, t, space, 0, space.sums.data());
    for (std::size_t i = 1; i < t.n_chunks(); ++i) {
      compute(in, t, space, i, space.later.data());
      merge_sums(kv, space.rows.size(), space.later.data(), space.sums.data());
    }
    return finish(in, t, space, space.sums.data());
  }
  float* sums = item.split->sums.get();
  compute(in, t, space, item.i, sums + item.i * size);
  if (item.split->left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  for (std::size_t c = 1; c < t.n_chunks(); ++c)
    merge_sums(kv, space.rows.size(), sums + c * size, sums);
  finish(in, t, space, sums);
}

std::vector<Tile> make_tiles(const Inputs& in,
                             const std::vector<AttentionTask>& tasks) {
  std::vector<Tile> tiles;
  const std::size_t rows = std::max<std::size_t>(1, kTileRows / in.group());
  for (const AttentionTask& task : tasks) {
    // The longest rows first, so that the last items are short.
    for (std::size_t last = task.n_rows; last > 0;) {
      const std::size_t first = last > rows ? last - rows : 0;
      Tile t{&task, 0, first, last, 0, 0, 0, false};
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

// Appends the rows of tasks that several tiles read.
void append_shared(const Inputs& in, const std::vector<Tile>& tiles) {
  struct Piece {
    const AttentionTask* task;
    std::size_t kv_head, chunk;
  };
  std::vector<Piece> pieces;
  for (const Tile& t : tiles) {
    if (t.appends || t.first != 0) continue;
    const std::size_t end = t.task->position + t.task->n_rows;
    for (std::size_t c = t.task->position / kPage; c * kPage < end; ++c)
      pieces.push_back({t.task, t.kv_head, c});
  }
  parallel_for(pieces.size(), [&](std::size_t i) {
    append(in, *pieces[i].task, pieces[i].kv_head, pieces[i].chunk);
  });
}

}  // namespace

void append_and_attend(const AttentionShape& shape,
                       const std::vector<AttentionTask>& tasks, const float* q,
                       const float* k, const float* v, float* out) {
  AttentionShape quantized = shape;
  quantized.kv.type = shape.quantized_type;
  const Inputs in{shape, quantized, q, k, v, out};
  const std::vector<Tile> tiles = make_tiles(in, tasks);
  append_shared(in, tiles);
  const std::size_t enough =
      kItemsPerThread * static_cast<std::size_t>(thread_count());
  std::vector<std::unique_ptr<Split>> splits;
  std::vector<Item> items;
  for (const Tile& t : tiles) {
    if (tiles.size() >= enough || thread_count() == 1 || t.n_chunks() == 1) {
      items.push_back({&t, nullptr, 0});
      continue;
    }
    const std::size_t n_rows = (t.last - t.first) * in.group();
    splits.push_back(
        std::make_unique<Split>(t.n_chunks(), n_rows * sums_stride(shape.kv)));
    for (std::size_t i = 0; i < t.n_chunks(); ++i)
      items.push_back({&t, splits.back().get(), i});
  }
  parallel_for(items.size(), [&](std::size_t i) { run(in, items[i]); });
}

}  // namespace skua::cpu
