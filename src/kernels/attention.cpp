#include "kernels/attention.h"

#include <mlx/fast.h>
#include <mlx/mlx.h>

#include "kernels/cpu/attention.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

void expect(bool holds, const std::string& what, const mx::array& got) {
  if (!holds) {
    throw InvalidInput("attention", what + ", got " + shape_text(got.shape()));
  }
}

void check(const mx::array& q, const mx::array& k, const mx::array& v,
           const std::vector<AttentionSegment>& segments,
           const std::vector<KeyValue>& caches) {
  expect(q.ndim() == 3, "q is expected to be [T, H, d]", q);
  expect(k.ndim() == 3 && k.shape(0) == q.shape(0) &&
             k.shape(2) == q.shape(2) && k.shape(1) > 0 &&
             q.shape(1) % k.shape(1) == 0,
         "k is expected to be [T, K, d] with K a divisor of H", k);
  expect(v.shape() == k.shape() && v.dtype() == k.dtype(),
         "v is expected to have k's shape and type", v);
  if (segments.size() != caches.size()) {
    throw InvalidInput("attention",
                       std::to_string(segments.size()) + " segments, got " +
                           std::to_string(caches.size()) + " caches");
  }
  int next_row = 0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const AttentionSegment& s = segments[i];
    for (const mx::array& cache : {caches[i].keys, caches[i].values}) {
      expect(cache.ndim() == 3 && cache.shape(0) == k.shape(1) &&
                 cache.shape(2) == k.shape(2) && cache.dtype() == k.dtype(),
             "a cache is expected to be [K, S, d] of k's type", cache);
      expect(s.position >= 0 && s.n_rows > 0 &&
                 s.position + s.n_rows <= cache.shape(1),
             "a cache has no room at position " + std::to_string(s.position),
             cache);
    }
    if (s.first_row != next_row) {
      throw InvalidInput("attention",
                         "segment " + std::to_string(i) + " starts at row " +
                             std::to_string(s.first_row) + ", expected " +
                             std::to_string(next_row));
    }
    next_row += s.n_rows;
  }
  expect(next_row == q.shape(0), "q's rows do not match the segments", q);
}

// [n, heads, d] -> [1, heads, n, d]
mx::array heads_first(const mx::array& rows) {
  return mx::expand_dims(mx::transpose(rows, {1, 0, 2}), 0);
}

mx::array rows_of(const mx::array& x, const AttentionSegment& s) {
  return mx::slice(x, {s.first_row, 0, 0},
                   {s.first_row + s.n_rows, x.shape(1), x.shape(2)});
}

// Bool [n_rows, length]: which keys each query of the segment sees.
mx::array window_mask(const AttentionSegment& s, int window) {
  const int length = s.position + s.n_rows;
  const auto query = mx::expand_dims(mx::arange(s.position, length), 1);
  const auto key = mx::expand_dims(mx::arange(length), 0);
  return mx::logical_and(
      mx::less_equal(key, query),
      mx::greater(key, mx::subtract(query, mx::array(window))));
}

}  // namespace

Attended append_and_attend_fallback(
    const mx::array& q, const mx::array& k, const mx::array& v,
    const std::vector<AttentionSegment>& segments,
    const std::vector<KeyValue>& caches, const AttentionOptions& options) {
  check(q, k, v, segments, caches);
  std::vector<mx::array> outs;
  std::vector<KeyValue> updated;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const AttentionSegment& s = segments[i];
    const int length = s.position + s.n_rows;
    const auto append = [&](const mx::array& cache, const mx::array& rows) {
      return mx::slice_update(
          cache, mx::transpose(rows_of(rows, s), {1, 0, 2}),
          mx::Shape{0, s.position, 0},
          mx::Shape{cache.shape(0), length, cache.shape(2)});
    };
    const auto held = [&](const mx::array& cache) {
      return mx::expand_dims(
          mx::slice(cache, {0, 0, 0}, {cache.shape(0), length, cache.shape(2)}),
          0);
    };
    updated.push_back({append(caches[i].keys, k), append(caches[i].values, v)});
    const KeyValue& cache = updated.back();
    const bool windowed = options.window > 0 && options.window < length;
    std::string mask_mode = s.n_rows == 1 ? "" : "causal";
    std::optional<mx::array> mask;
    if (windowed) {
      mask_mode = "array";
      mask = window_mask(s, options.window);
    }
    const auto out = mx::fast::scaled_dot_product_attention(
        heads_first(rows_of(q, s)), held(cache.keys), held(cache.values),
        options.scale, mask_mode, mask);
    outs.push_back(mx::transpose(mx::squeeze(out, 0), {1, 0, 2}));
  }
  return {outs.size() == 1 ? outs[0] : mx::concatenate(outs, 0),
          std::move(updated)};
}

Attended append_and_attend(const mx::array& q, const mx::array& k,
                           const mx::array& v,
                           const std::vector<AttentionSegment>& segments,
                           const std::vector<KeyValue>& caches,
                           const AttentionOptions& options) {
  if (!runs_on_cpu() || q.dtype() != mx::float32 || k.dtype() != mx::float32)
    return append_and_attend_fallback(q, k, v, segments, caches, options);
  check(q, k, v, segments, caches);

  std::vector<mx::array> inputs = {row_contiguous(q), row_contiguous(k),
                                   row_contiguous(v)};
  std::vector<mx::Shape> shapes = {q.shape()};
  for (const KeyValue& cache : caches) {
    for (const mx::array& part : {cache.keys, cache.values}) {
      inputs.push_back(part);
      shapes.push_back(part.shape());
    }
  }
  auto body = [segments, options](const std::vector<mx::array>& in,
                                  std::vector<mx::array>& out) {
    allocate(out[0]);
    std::vector<cpu::AttentionTask> tasks;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      const std::size_t at = 3 + 2 * i;
      // In place whoever else holds the array: only rows past the positions
      // that it vouches for are written.
      out[1 + 2 * i].copy_shared_buffer(in[at]);
      out[2 + 2 * i].copy_shared_buffer(in[at + 1]);
      const AttentionSegment& s = segments[i];
      tasks.push_back({static_cast<std::size_t>(s.first_row),
                       static_cast<std::size_t>(s.n_rows),
                       static_cast<std::size_t>(s.position),
                       static_cast<std::size_t>(in[at].shape(1)),
                       out[1 + 2 * i].data<float>(),
                       out[2 + 2 * i].data<float>()});
    }
    const cpu::AttentionShape shape{static_cast<std::size_t>(in[0].shape(1)),
                                    static_cast<std::size_t>(in[1].shape(1)),
                                    static_cast<std::size_t>(in[0].shape(2)),
                                    options.scale,
                                    static_cast<std::size_t>(options.window)};
    return [shape, tasks = std::move(tasks), q = in[0].data<float>(),
            k = in[1].data<float>(), v = in[2].data<float>(),
            y = out[0].data<float>()] {
      cpu::append_and_attend(shape, tasks, q, k, v, y);
    };
  };
  auto outputs = mx::array::make_arrays(
      std::move(shapes), std::vector<mx::Dtype>(inputs.size() - 2, mx::float32),
      cpu_primitive("append_and_attend", std::move(body)), inputs);
  Attended result{outputs[0], {}};
  for (std::size_t i = 1; i < outputs.size(); i += 2)
    result.caches.push_back({outputs[i], outputs[i + 1]});
  return result;
}

}  // namespace skua
