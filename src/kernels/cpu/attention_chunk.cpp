#include "kernels/cpu/attention_chunk.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

// clang-format off: foreach_target comes before all that it repeats.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_chunk.cpp"
#include <hwy/foreach_target.h>

#include <hwy/highway.h>
#include "kernels/cpu/attention_tile-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

// The rows of a tile that are computed together, and what they see of a
// chunk: slots [begin, end) by any of them, [all_begin, all_end) by all.
struct Group {
  std::size_t first, n_rows;
  std::size_t begin = kPage, end = 0;
  std::size_t all_begin = 0, all_end = kPage;
};

struct Chunk {
  const AttentionShape& shape;
  std::span<const TileRow> rows;
  const float* packed;
  KvHead head;
  std::size_t first;

  // The slots that row r sees.
  std::pair<std::size_t, std::size_t> slots(std::size_t r) const {
    const std::size_t begin = std::max(rows[r].begin, first);
    const std::size_t end = std::min(rows[r].end, first + kPage);
    return begin < end ? std::pair(begin - first, end - first)
                       : std::pair<std::size_t, std::size_t>(0, 0);
  }
};

// Buffers of a thread.
struct Space {
  std::vector<float> scores;  // [rows, kPage]
  std::vector<float> panel;   // keys or values as float32
  std::vector<Group> groups;
};

void find_groups(const Chunk& chunk, std::vector<Group>& groups) {
  groups.clear();
  for (std::size_t at = 0; at < chunk.rows.size(); at += kRowsMost) {
    Group g{at, std::min(kRowsMost, chunk.rows.size() - at)};
    for (std::size_t r = at; r < at + g.n_rows; ++r) {
      const auto [begin, end] = chunk.slots(r);
      g.all_begin = std::max(g.all_begin, begin);
      g.all_end = std::min(g.all_end, end);
      if (begin == end) continue;
      g.begin = std::min(g.begin, begin);
      g.end = std::max(g.end, end);
    }
    g.all_end = std::max(g.all_begin, g.all_end);
    groups.push_back(g);
  }
}

Numbers panel_of(const Space& space) {
  return {reinterpret_cast<const std::byte*>(space.panel.data())};
}

template <KvType kType>
void score_tile(const Chunk& chunk, Space& space) {
  const std::size_t d = chunk.shape.kv.key_dim;
  const Numbers keys{chunk.head.keys, chunk.head.key_scales};
  // Where several groups read the same keys, they are widened once.
  const bool widen = space.groups.size() > 1 && kType != KvType::kF32;
  const std::size_t step = space.groups.size() > 1 ? kPanel : kPage / kLane;
  if (widen) space.panel.resize(std::max(space.panel.size(), step * d * kLane));
  for (std::size_t block = 0; block < kPage / kLane; block += step) {
    bool widened = false;
    for (const Group& g : space.groups) {
      const std::size_t from = std::max(block, g.begin / kLane);
      const std::size_t to =
          std::min(block + step, (g.end + kLane - 1) / kLane);
      if (from >= to) continue;
      const float* q = chunk.packed + g.first * d;
      float* scores = &space.scores[g.first * kPage + from * kLane];
      if (!widen) {
        score_group<kType>(g.n_rows, q, keys, from, to - from, d, scores);
        continue;
      }
      if (!std::exchange(widened, true)) {
        widen_keys<kType>(keys, block, step, d, space.panel.data());
      }
      score_group<KvType::kF32>(g.n_rows, q, panel_of(space), from - block,
                                to - from, d, scores);
    }
  }
}

// Adds weights * values of slots [begin, end) to the sums of n rows.
template <KvType kType>
void mix_rows(const Group& g, const Chunk& chunk, const float* scores,
              const Numbers& values, std::size_t n_strips, float* sums) {
  const std::size_t stride = sums_stride(chunk.shape.kv);
  // A row takes no part in what it does not see, be it infinite.
  const auto alone = [&](std::size_t r, std::size_t begin, std::size_t end) {
    if (begin < end) {
      mix_group<kType>(1, scores + r * kPage, values, n_strips, begin, end,
                       sums + r * stride, stride);
    }
  };
  const bool together = g.all_begin < g.all_end;
  for (std::size_t r = g.first; r < g.first + g.n_rows; ++r) {
    const auto [begin, end] = chunk.slots(r);
    alone(r, begin, together ? g.all_begin : end);
  }
  if (!together) return;
  mix_group<kType>(g.n_rows, scores + g.first * kPage, values, n_strips,
                   g.all_begin, g.all_end, sums + g.first * stride, stride);
  for (std::size_t r = g.first; r < g.first + g.n_rows; ++r)
    alone(r, g.all_end, chunk.slots(r).second);
}

template <KvType kType>
void mix_tile(const Chunk& chunk, Space& space, float* sums) {
  const bool widen = space.groups.size() > 1 && kType != KvType::kF32;
  const std::size_t n_strips = chunk.shape.kv.n_strips();
  const Numbers values{chunk.head.values, chunk.head.value_scales};
  const std::size_t step = space.groups.size() > 1 ? kPanel : n_strips;
  space.panel.resize(std::max(space.panel.size(), kPanel * kPage * kLane));
  std::size_t begin = kPage, end = 0;
  for (const Group& g : space.groups) {
    begin = std::min(begin, g.begin);
    end = std::max(end, g.end);
  }
  for (std::size_t strip = 0; strip < n_strips; strip += step) {
    const std::size_t n = std::min(step, n_strips - strip);
    for (std::size_t s = 0; widen && s < n; ++s) {
      widen_values<kType>(values, strip + s, begin, end,
                          &space.panel[s * kPage * kLane]);
    }
    for (const Group& g : space.groups) {
      if (widen) {
        mix_rows<KvType::kF32>(g, chunk, space.scores.data(), panel_of(space),
                               n, sums + strip * kLane);
      } else {
        // F32 may be in several steps, other types are in one.
        const std::size_t at = strip * kPage * kLane * sizeof(float);
        mix_rows<kType>(g, chunk, space.scores.data(),
                        {values.at + at, values.scales}, n,
                        sums + strip * kLane);
      }
    }
  }
}

// scores[begin, end) of row r as the options want them.
void change_scores(const Chunk& chunk, std::size_t r, std::size_t begin,
                   std::size_t end, float* scores) {
  const AttentionShape& shape = chunk.shape;
  const TileRow& row = chunk.rows[r];
  const bool scaled = shape.kv.type == KvType::kInt8;
  // Whole vectors: what lies beside the range is overwritten later.
  const std::size_t from = begin / kLane * kLane;
  const std::size_t n = (end + kLane - 1) / kLane * kLane - from;
  if (scaled) multiply(chunk.head.key_scales + from, n, scores + from);
  if (shape.soft_cap != 0) {
    // tanh makes integers of its numbers, and there is none for a NaN.
    std::fill(scores + from, scores + begin, 0.0f);
    std::fill(scores + end, scores + from + n, 0.0f);
    cap(shape.soft_cap, n, scores + from);
  }
  if (shape.slopes != nullptr) {
    const auto distance = static_cast<float>(chunk.first + from) -
                          static_cast<float>(row.position);
    lean(shape.slopes[row.head], distance, n, scores + from);
  }
  if (row.mask != nullptr) {
    for (std::size_t j = begin; j < end; ++j)
      scores[j] += row.mask[chunk.first + j];
  }
}

template <KvType kType>
void attend_typed(const Chunk& chunk, float* sums) {
  thread_local Space space;
  const KvShape& kv = chunk.shape.kv;
  const std::size_t stride = sums_stride(kv);
  const std::size_t n_columns = kv.n_strips() * kLane;
  space.scores.resize(std::max(space.scores.size(), chunk.rows.size() * kPage));
  find_groups(chunk, space.groups);
  score_tile<kType>(chunk, space);
  for (std::size_t r = 0; r < chunk.rows.size(); ++r) {
    float* row = sums + r * stride;
    std::fill_n(row, n_columns + 2, 0.0f);
    row[n_columns] = kNothing;
    const auto [begin, end] = chunk.slots(r);
    if (begin == end) continue;
    float* scores = &space.scores[r * kPage];
    change_scores(chunk, r, begin, end, scores);
    const std::size_t from = begin / kLane * kLane;
    const std::size_t to = (end + kLane - 1) / kLane * kLane;
    std::fill(scores + from, scores + begin, kNothing);
    std::fill(scores + end, scores + to, kNothing);
    const float max = largest(scores + from, to - from);
    if (max == kNothing) {
      std::fill(scores + from, scores + to, 0.0f);
      continue;
    }
    row[n_columns] = max;
    row[n_columns + 1] = exponentials(max, to - from, scores + from);
    if (kType == KvType::kInt8)
      multiply(chunk.head.value_scales + from, to - from, scores + from);
  }
  mix_tile<kType>(chunk, space, sums);
}

void pack_queries(std::span<const float* const> queries, std::size_t key_dim,
                  float scale, std::vector<float>& packed) {
  packed.resize(queries.size() * key_dim);
  for (std::size_t at = 0; at < queries.size(); at += kRowsMost) {
    const std::size_t n = std::min(kRowsMost, queries.size() - at);
    float* group = &packed[at * key_dim];
    for (std::size_t i = 0; i < key_dim; ++i) {
      for (std::size_t r = 0; r < n; ++r)
        group[i * n + r] = scale * queries[at + r][i];
    }
  }
}

void attend_chunk(const AttentionShape& shape, std::span<const TileRow> rows,
                  const float* packed, const KvHead& head, std::size_t first,
                  float* sums) {
  const Chunk chunk{shape, rows, packed, head, first};
  switch (shape.kv.type) {
    case KvType::kF32:
      return attend_typed<KvType::kF32>(chunk, sums);
    case KvType::kBf16:
      return attend_typed<KvType::kBf16>(chunk, sums);
    case KvType::kF16:
      return attend_typed<KvType::kF16>(chunk, sums);
    case KvType::kInt8:
      return attend_typed<KvType::kInt8>(chunk, sums);
    case KvType::kInt4:
      return attend_typed<KvType::kInt4>(chunk, sums);
  }
}

void merge_sums(const KvShape& kv, std::size_t n_rows, const float* later,
                float* sums) {
  const std::size_t stride = sums_stride(kv);
  const std::size_t n_columns = kv.n_strips() * kLane;
  for (std::size_t r = 0; r < n_rows; ++r)
    merge_row(n_columns, later + r * stride, sums + r * stride);
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua::cpu {

HWY_EXPORT(pack_queries);
HWY_EXPORT(attend_chunk);
HWY_EXPORT(merge_sums);

void pack_queries(std::span<const float* const> queries, std::size_t key_dim,
                  float scale, std::vector<float>& packed) {
  HWY_DYNAMIC_DISPATCH(pack_queries)(queries, key_dim, scale, packed);
}

void attend_chunk(const AttentionShape& shape, std::span<const TileRow> rows,
                  const float* packed, const KvHead& head, std::size_t first,
                  float* sums) {
  HWY_DYNAMIC_DISPATCH(attend_chunk)(shape, rows, packed, head, first, sums);
}

void merge_sums(const KvShape& kv, std::size_t n_rows, const float* later,
                float* sums) {
  HWY_DYNAMIC_DISPATCH(merge_sums)(kv, n_rows, later, sums);
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
