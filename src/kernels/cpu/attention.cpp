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

float dot(const float* a, const float* b, std::size_t n) {
  const hn::ScalableTag<float> df;
  const std::size_t lanes = hn::Lanes(df);
  auto sum = hn::Zero(df);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    sum = hn::MulAdd(hn::LoadU(df, a + i), hn::LoadU(df, b + i), sum);
  float total = hn::GetLane(hn::SumOfLanes(df, sum));
  for (; i < n; ++i) total += a[i] * b[i];
  return total;
}

void add_scaled(float factor, const float* x, std::size_t n, float* y) {
  const hn::ScalableTag<float> df;
  const std::size_t lanes = hn::Lanes(df);
  const auto factors = hn::Set(df, factor);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto sum =
        hn::MulAdd(factors, hn::LoadU(df, x + i), hn::LoadU(df, y + i));
    hn::StoreU(sum, df, y + i);
  }
  for (; i < n; ++i) y[i] += factor * x[i];
}

// scores = exp(scores - max), in place; returns their sum. Room for one more
// vector behind the n scores is written to.
float exponentials(float* scores, std::size_t n) {
  const hn::ScalableTag<float> df;
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
      for (std::size_t j = 0; j < n; ++j)
        scores[j] = shape.scale * dot(q + at, keys + (begin + j) * d, d);
      const float sum = exponentials(scores.data(), n);
      std::fill_n(out + at, d, 0.0f);
      for (std::size_t j = 0; j < n; ++j)
        add_scaled(scores[j] / sum, values + (begin + j) * d, d, out + at);
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
