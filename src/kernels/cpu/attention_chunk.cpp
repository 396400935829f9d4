#include "kernels/cpu/attention_chunk.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
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

  // Sums of the packed query of row r over each section of its numbers.
  const float* query_sums(std::size_t r) const {
    const std::size_t d = shape.kv.key_dim;
    return packed + rows.size() * d + r * n_query_sums(d);
  }
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
  std::vector<float> scores;   // [rows, kPage]
  std::vector<float> section;  // the same of a section: scores or weights
  std::vector<float> panel;    // keys or values as float32
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

// Products of queries and keys as they are stored, of a section's numbers.
template <KvType kType>
void score_section(const Chunk& chunk, const KvSection& keys, Space& space,
                   float* all_scores) {
  const std::size_t d = keys.n;
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
      const float* q = chunk.packed + g.first * chunk.shape.kv.key_dim +
                       keys.first * g.n_rows;
      float* scores = all_scores + g.first * kPage + from * kLane;
      if (!widen) {
        score_group<kType>(g.n_rows, q, keys.numbers, from * d * kLane,
                           to - from, d, scores);
        continue;
      }
      if (!std::exchange(widened, true)) {
        widen_numbers<kType>(keys.numbers, block * d * kLane, step * d * kLane,
                             space.panel.data());
      }
      score_group<KvType::kF32>(
          g.n_rows, q, reinterpret_cast<const std::byte*>(space.panel.data()),
          (from - block) * d * kLane, to - from, d, scores);
    }
  }
}

// Whole vectors: what lies beside a row's slots is overwritten later.
std::pair<std::size_t, std::size_t> whole_vectors(std::size_t begin,
                                                  std::size_t end) {
  return {begin / kLane * kLane, (end + kLane - 1) / kLane * kLane};
}

template <KvType kType>
void score_tile(const Chunk& chunk, Space& space) {
  const KvShape& kv = chunk.shape.kv;
  if constexpr (kType != KvType::kInt4) {
    return score_section<kType>(chunk, key_section(kv, chunk.head, 0), space,
                                space.scores.data());
  }
  std::fill_n(space.scores.begin(), chunk.rows.size() * kPage, 0.0f);
  for (std::size_t s = 0; s < kv.n_sections(kv.key_dim); ++s) {
    const KvSection keys = key_section(kv, chunk.head, s);
    score_section<kType>(chunk, keys, space, space.section.data());
    for (std::size_t r = 0; r < chunk.rows.size(); ++r) {
      const auto [begin, end] = chunk.slots(r);
      const auto [from, to] = whole_vectors(begin, end);
      multiply_add(&space.section[r * kPage + from], keys.scales + from,
                   chunk.query_sums(r)[s], keys.scales + kPage + from,
                   to - from, &space.scores[r * kPage + from]);
    }
  }
}

// Adds weights * values of slots [begin, end) to the sums of n rows.
template <KvType kType>
void mix_rows(const Group& g, const Chunk& chunk, const float* scores,
              const std::byte* values, std::size_t n_strips, float* sums) {
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
void mix_section(const Chunk& chunk, const KvSection& values, Space& space,
                 const float* weights, float* sums) {
  const bool widen = space.groups.size() > 1 && kType != KvType::kF32;
  const std::size_t n_strips = values.n_strips();
  const std::size_t step = space.groups.size() > 1 ? kPanel : n_strips;
  space.panel.resize(std::max(space.panel.size(), kPanel * kPage * kLane));
  std::size_t begin = kPage, end = 0;
  for (const Group& g : space.groups) {
    begin = std::min(begin, g.begin);
    end = std::max(end, g.end);
  }
  for (std::size_t strip = 0; strip < n_strips; strip += step) {
    const std::size_t n = std::min(step, n_strips - strip);
    const std::size_t at = strip * kPage * kLane;
    for (std::size_t s = 0; widen && s < n; ++s) {
      const std::size_t from = (s * kPage + begin) * kLane;
      widen_numbers<kType>(values.numbers, at + from, (end - begin) * kLane,
                           &space.panel[from]);
    }
    for (const Group& g : space.groups) {
      if (widen) {
        mix_rows<KvType::kF32>(
            g, chunk, weights,
            reinterpret_cast<const std::byte*>(space.panel.data()), n,
            sums + strip * kLane);
      } else {
        mix_rows<kType>(g, chunk, weights,
                        values.numbers + chunk.shape.kv.number_bytes(at), n,
                        sums + strip * kLane);
      }
    }
  }
}

template <KvType kType>
void mix_tile(const Chunk& chunk, Space& space, float* sums) {
  const KvShape& kv = chunk.shape.kv;
  if constexpr (kType != KvType::kInt4) {
    return mix_section<kType>(chunk, value_section(kv, chunk.head, 0), space,
                              space.scores.data(), sums);
  }
  for (std::size_t s = 0; s < kv.n_sections(kv.value_dim); ++s) {
    const KvSection values = value_section(kv, chunk.head, s);
    float* out = sums + values.first;
    for (std::size_t r = 0; r < chunk.rows.size(); ++r) {
      const auto [begin, end] = chunk.slots(r);
      const auto [from, to] = whole_vectors(begin, end);
      const float* weights = &space.scores[r * kPage + from];
      multiply(weights, values.scales + from, to - from,
               &space.section[r * kPage + from]);
      std::fill_n(
          out + r * sums_stride(kv), values.n_strips() * kLane,
          weighted_sum(weights, values.scales + kPage + from, to - from));
    }
    mix_section<kType>(chunk, values, space, space.section.data(), out);
  }
}

// scores[begin, end) of row r as the options want them.
void change_scores(const Chunk& chunk, std::size_t r, std::size_t begin,
                   std::size_t end, float* scores) {
  const AttentionShape& shape = chunk.shape;
  const TileRow& row = chunk.rows[r];
  const auto [from, to] = whole_vectors(begin, end);
  const std::size_t n = to - from;
  if (shape.kv.type == KvType::kInt8)
    multiply(scores + from, chunk.head.key_scales + from, n, scores + from);
  if (shape.soft_cap != 0) cap(shape.soft_cap, n, scores + from);
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
  const std::size_t n_scores = chunk.rows.size() * kPage;
  space.scores.resize(std::max(space.scores.size(), n_scores));
  if (kType == KvType::kInt4)
    space.section.resize(std::max(space.section.size(), n_scores));
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
    const auto [from, to] = whole_vectors(begin, end);
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
      multiply(scores + from, chunk.head.value_scales + from, to - from,
               scores + from);
  }
  mix_tile<kType>(chunk, space, sums);
}

void pack_queries(std::span<const float* const> queries, std::size_t key_dim,
                  float scale, std::vector<float>& packed) {
  const std::size_t n_sums = n_query_sums(key_dim);
  packed.resize(queries.size() * (key_dim + n_sums));
  for (std::size_t at = 0; at < queries.size(); at += kRowsMost) {
    const std::size_t n = std::min(kRowsMost, queries.size() - at);
    float* group = &packed[at * key_dim];
    for (std::size_t i = 0; i < key_dim; ++i) {
      for (std::size_t r = 0; r < n; ++r)
        group[i * n + r] = scale * queries[at + r][i];
    }
  }
  float* sums = &packed[queries.size() * key_dim];
  for (const float* query : queries) {
    for (std::size_t s = 0; s < n_sums; ++s) {
      const std::size_t end = std::min((s + 1) * kSection, key_dim);
      // Sums of their own in flight.
      float parts[8] = {};
      for (std::size_t i = s * kSection; i < end; ++i)
        parts[i % 8] += scale * query[i];
      *sums++ = std::accumulate(parts, parts + 8, 0.0f);
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
