#include "kernels/cpu/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>

#include "base/thread_pool.h"
#include "kernels/cpu/attention_amx.h"
#include "kernels/cpu/attention_chunk.h"
#include "kernels/cpu/attention_plan.h"

namespace skua::cpu {
namespace {

using Inputs = AttentionInputs;
using Tile = AttentionTile;

// Chunks that each thread can choose from, at least.
constexpr std::size_t kItemsPerThread = 8;

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
  Split* split;            // null: all chunks at once
  std::size_t begin, end;  // of the tile's chunks
};

// Buffers of a thread.
struct Space {
  std::vector<TileRow> rows;
  std::vector<TileRow> kept;  // the same, for what they see before it
  std::vector<const float*> queries;
  std::vector<float> packed, sums, later;
  AlignedBuffer rounded, aligned_sums;  // of rounded tiles
};

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
  if (t.rounded)
    pack_queries_bf16(space.queries, in.shape.kv, in.shape.scale,
                      space.rounded);
  else
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

KvHead head_of(const Inputs& in, const Tile& t, std::size_t chunk) {
  return head_of(in.shape_of(chunk).kv, t.task->pages[chunk], t.kv_head);
}

// Bytes from a chunk's head to the next one's, where they are alike.
std::uintptr_t distance(const Inputs& in, const Tile& t, std::size_t chunk,
                        std::size_t next) {
  if (&in.shape_of(chunk) != &in.shape_of(next)) return 0;
  return reinterpret_cast<std::uintptr_t>(head_of(in, t, next).keys) -
         reinterpret_cast<std::uintptr_t>(head_of(in, t, chunk).keys);
}

// Chunk i of those before `end` that this thread computes.
void compute(const Inputs& in, const Tile& t, const Space& space, std::size_t i,
             std::size_t end, float* sums) {
  const std::size_t chunk = t.chunk(i);
  if (t.appends) append(in, *t.task, t.kv_head, chunk);
  const AttentionShape& shape = in.shape_of(chunk);
  const auto& rows = i < t.n_kept ? space.kept : space.rows;
  const KvHead head = head_of(in, t, chunk);
  const std::size_t first = chunk * kPage;
  if (t.rounded)
    attend_chunk_amx(shape, rows, space.rounded.as<std::uint16_t>(), head,
                     first, sums);
  else
    attend_chunk(shape, rows, space.packed.data(), head, first,
                 i + 1 < end ? distance(in, t, chunk, t.chunk(i + 1)) : 0,
                 sums);
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

void run_rounded(const Inputs& in, const Tile& t, Space& space) {
  const std::size_t stride = sums_stride(in.shape.kv);
  const std::size_t size = tile_rows(space.rows.size()) * stride;
  if (space.aligned_sums.size() < size * sizeof(float))
    space.aligned_sums = AlignedBuffer(size * sizeof(float));
  auto* sums = space.aligned_sums.as<float>();
  std::fill_n(sums, size, 0.0f);
  for (std::size_t r = 0; r < space.rows.size(); ++r)
    sums[r * stride + in.shape.kv.n_strips() * kLane] = -HUGE_VALF;
  const std::size_t n = t.n_chunks();
  for (std::size_t i = 0; i < n; ++i) compute(in, t, space, i, n, sums);
  finish(in, t, space, sums);
}

void run(const Inputs& in, const Item& item) {
  thread_local Space space;
  const Tile& t = *item.tile;
  const KvShape& kv = in.shape.kv;
  gather_rows(in, t, space);
  if (t.rounded) return run_rounded(in, t, space);
  const std::size_t size = space.rows.size() * sums_stride(kv);
  if (item.split == nullptr) {
    space.sums.resize(size);
    space.later.resize(size);
    compute(in, t, space, 0, item.end, space.sums.data());
    for (std::size_t i = 1; i < item.end; ++i) {
      compute(in, t, space, i, item.end, space.later.data());
      merge_sums(kv, space.rows.size(), space.later.data(), space.sums.data());
    }
    return finish(in, t, space, space.sums.data());
  }
  float* sums = item.split->sums.get();
  for (std::size_t i = item.begin; i < item.end; ++i)
    compute(in, t, space, i, item.end, sums + i * size);
  const std::size_t n_done = item.end - item.begin;
  if (item.split->left.fetch_sub(n_done, std::memory_order_acq_rel) != n_done)
    return;
  for (std::size_t c = 1; c < t.n_chunks(); ++c)
    merge_sums(kv, space.rows.size(), sums + c * size, sums);
  finish(in, t, space, sums);
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
    const std::size_t n = t.n_chunks();
    if (t.rounded || tiles.size() >= enough || thread_count() == 1 || n == 1) {
      items.push_back({&t, nullptr, 0, n});
      continue;
    }
    const std::size_t n_rows = (t.last - t.first) * in.group();
    splits.push_back(
        std::make_unique<Split>(n, n_rows * sums_stride(shape.kv)));
    // Runs of chunks, so that each is asked for during the one before it.
    const std::size_t n_run =
        std::max<std::size_t>(1, n * tiles.size() / enough);
    for (std::size_t i = 0; i < n; i += n_run)
      items.push_back({&t, splits.back().get(), i, std::min(i + n_run, n)});
  }
  parallel_for(items.size(), [&](std::size_t i) { run(in, items[i]); });
}

}  // namespace skua::cpu
