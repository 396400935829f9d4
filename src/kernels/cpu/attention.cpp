#include "kernels/cpu/attention.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/thread_pool.h"

// clang-format off: foreach_target comes before all that it repeats.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cpp"
#include <hwy/foreach_target.h>

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;

// scores[j] = scale * dot(q, keys[j]) for kKeys keys.
template <int kKeys>
void score_keys(const float* q, const float* keys, std::size_t d, float scale,
                float* scores) {
  const Floats df;
  const std::size_t lanes = hn::Lanes(df);
  Vector sums[kKeys];
  for (Vector& sum : sums) sum = hn::Zero(df);
  std::size_t i = 0;
  for (; i + lanes <= d; i += lanes) {
    const Vector query = hn::LoadU(df, q + i);
    for (int j = 0; j < kKeys; ++j)
      sums[j] = hn::MulAdd(query, hn::LoadU(df, keys + j * d + i), sums[j]);
  }
  for (int j = 0; j < kKeys; ++j) {
    float total = hn::GetLane(hn::SumOfLanes(df, sums[j]));
    for (std::size_t rest = i; rest < d; ++rest)
      total += q[rest] * keys[j * d + rest];
    scores[j] = scale * total;
  }
}

// out[0, kVectors * lanes) = sum of weights[j] * values[j] over n positions.
template <int kVectors>
void mix_values(const float* weights, const float* values, std::size_t n,
                std::size_t d, float* out) {
  const Floats df;
  const std::size_t lanes = hn::Lanes(df);
  Vector sums[kVectors];
  for (Vector& sum : sums) sum = hn::Zero(df);
  for (std::size_t j = 0; j < n; ++j) {
    const Vector weight = hn::Set(df, weights[j]);
    for (int i = 0; i < kVectors; ++i)
      sums[i] = hn::MulAdd(weight, hn::LoadU(df, values + j * d + i * lanes),
                           sums[i]);
  }
  for (int i = 0; i < kVectors; ++i) hn::StoreU(sums[i], df, out + i * lanes);
}

void mix_all_values(const float* weights, const float* values, std::size_t n,
                    std::size_t d, float* out) {
  const std::size_t lanes = hn::Lanes(Floats());
  std::size_t i = 0;
  for (; i + 8 * lanes <= d; i += 8 * lanes)
    mix_values<8>(weights, values + i, n, d, out + i);
  for (; i + lanes <= d; i += lanes)
    mix_values<1>(weights, values + i, n, d, out + i);
  for (; i < d; ++i) {
    float sum = 0;
    for (std::size_t j = 0; j < n; ++j) sum += weights[j] * values[j * d + i];
    out[i] = sum;
  }
}

// scores = exp(scores - max), in place; returns their sum. Room for one more
// vector behind the n scores is written to.
float exponentials(float* scores, std::size_t n) {
  const Floats df;
  const std::size_t lanes = hn::Lanes(df);
  const float max = *std::max_element(scores, scores + n);
  std::fill(scores + n, scores + n + lanes,
            -std::numeric_limits<float>::infinity());
  const auto maxima = hn::Set(df, max);
  auto sum = hn::Zero(df);
  for (std::size_t i = 0; i < n; i += lanes) {
    const auto e = hn::Exp(df, hn::Sub(hn::LoadU(df, scores + i), maxima));
    hn::StoreU(e, df, scores + i);
    sum = hn::Add(sum, e);
  }
  return hn::GetLane(hn::SumOfLanes(df, sum));
}

// Rows [first, last) of the task for all query heads that share `kv_head`.
void attend_rows(const AttentionShape& shape, const AttentionTask& task,
                 std::size_t kv_head, std::size_t first, std::size_t last,
                 const float* q, float* out) {
  thread_local std::vector<float> scores;
  const std::size_t d = shape.head_dim;
  const std::size_t group = shape.n_heads / shape.n_kv_heads;
  const float* keys = task.keys + kv_head * task.capacity * d;
  const float* values = task.values + kv_head * task.capacity * d;
  for (std::size_t row = first; row < last; ++row) {
    const std::size_t end = task.position + row + 1;
    const std::size_t begin =
        shape.window != 0 && end > shape.window ? end - shape.window : 0;
    const std::size_t n = end - begin;
    scores.resize(n + HWY_MAX_BYTES / sizeof(float));
    for (std::size_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
      const std::size_t at = ((task.first_row + row) * shape.n_heads + h) * d;
      const float* seen = keys + begin * d;
      std::size_t j = 0;
      for (; j + 4 <= n; j += 4)
        score_keys<4>(q + at, seen + j * d, d, shape.scale, &scores[j]);
      for (; j < n; ++j)
        score_keys<1>(q + at, seen + j * d, d, shape.scale, &scores[j]);
      const float inverse = 1 / exponentials(scores.data(), n);
      for (j = 0; j < n; ++j) scores[j] *= inverse;
      mix_all_values(scores.data(), values + begin * d, n, d, out + at);
    }
  }
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua::cpu {

HWY_EXPORT(attend_rows);

namespace {

void append(const AttentionShape& shape, const AttentionTask& task,
            const float* rows, float* cache) {
  const std::size_t d = shape.head_dim;
  for (std::size_t r = 0; r < task.n_rows; ++r) {
    const float* row = rows + (task.first_row + r) * shape.n_kv_heads * d;
    for (std::size_t h = 0; h < shape.n_kv_heads; ++h) {
      const std::size_t at = h * task.capacity + task.position + r;
      std::memcpy(cache + at * d, row + h * d, d * sizeof(float));
    }
  }
}

}  // namespace

void append_and_attend(const AttentionShape& shape,
                       const std::vector<AttentionTask>& tasks, const float* q,
                       const float* k, const float* v, float* out) {
  struct Chunk {
    const AttentionTask* task;
    std::size_t kv_head, first, last;
  };
  constexpr std::size_t kRowsPerChunk = 8;
  std::vector<Chunk> chunks;
  for (const AttentionTask& task : tasks) {
    append(shape, task, k, task.keys);
    append(shape, task, v, task.values);
    // The longest rows first, so that the last chunks are short.
    for (std::size_t end = task.n_rows; end > 0;) {
      const std::size_t first = end > kRowsPerChunk ? end - kRowsPerChunk : 0;
      for (std::size_t h = 0; h < shape.n_kv_heads; ++h)
        chunks.push_back({&task, h, first, end});
      end = first;
    }
  }
  parallel_for(chunks.size(), [&](std::size_t i) {
    const Chunk& c = chunks[i];
    HWY_DYNAMIC_DISPATCH(attend_rows)
    (shape, *c.task, c.kv_head, c.first, c.last, q, out);
  });
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
