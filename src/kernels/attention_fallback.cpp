#include "kernels/attention_fallback.h"

#include <mlx/fast.h>
#include <mlx/mlx.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace skua {
namespace {

mx::array rows_of(const mx::array& x, const AttentionSegment& s) {
  return mx::slice(x, {s.first_row, 0, 0},
                   {s.first_row + s.n_rows, x.shape(1), x.shape(2)});
}

// [n, heads, d] -> [1, heads, n, d]
mx::array heads_first(const mx::array& rows) {
  return mx::expand_dims(mx::transpose(rows, {1, 0, 2}), 0);
}

mx::array inverse_of(const mx::array& scale) {
  return mx::where(mx::greater(scale, mx::array(0.0f)),
                   mx::divide(mx::array(1.0f), scale), mx::array(0.0f));
}

// Each row as int8 with a scale would give it back.
mx::array round_to_int8(const mx::array& x) {
  const auto scale =
      mx::divide(mx::max(mx::abs(x), -1, true), mx::array(127.0f));
  return mx::multiply(mx::round(mx::multiply(x, inverse_of(scale))), scale);
}

// The same for int4, section by section.
mx::array round_to_int4(const mx::array& x) {
  constexpr int kSection = static_cast<int>(cpu::kSection);
  const int n = x.shape(-1);
  std::vector<mx::array> sections;
  for (int at = 0; at < n; at += kSection) {
    const auto some = mx::slice(
        x, {0, 0, at}, {x.shape(0), x.shape(1), std::min(at + kSection, n)});
    const auto least = mx::min(some, -1, true);
    const auto scale = mx::divide(mx::subtract(mx::max(some, -1, true), least),
                                  mx::array(15.0f));
    const auto codes =
        mx::round(mx::multiply(mx::subtract(some, least), inverse_of(scale)));
    sections.push_back(mx::add(mx::multiply(codes, scale), least));
  }
  return mx::concatenate(sections, -1);
}

mx::array round_to(KvType type, const mx::array& x) {
  if (!cpu::is_quantized(type)) return x;
  const auto numbers = mx::astype(x, mx::float32);
  return type == KvType::kInt8 ? round_to_int8(numbers)
                               : round_to_int4(numbers);
}

mx::array append(const mx::array& held, const mx::array& rows,
                 const KvCache& cache, int position) {
  const mx::array given = mx::transpose(rows, {1, 0, 2});
  const int n = rows.shape(0), from = cache.quantize_from();
  mx::array stored = round_to(cache.type(), given);
  if (from < position + n) {
    const auto rounded = round_to(cache.quantized_type(), given);
    const auto at = mx::reshape(mx::arange(position, position + n), {1, n, 1});
    stored = mx::where(mx::less(at, mx::array(from)), stored, rounded);
  }
  const int row = position - cache.state().n_gone();
  return mx::slice_update(held, mx::astype(stored, held.dtype()),
                          mx::Shape{0, row, 0},
                          mx::Shape{held.shape(0), row + n, held.shape(2)});
}

mx::array first_rows(const mx::array& held, int n, mx::Dtype dtype) {
  const auto rows =
      mx::slice(held, {0, 0, 0}, {held.shape(0), n, held.shape(2)});
  return mx::expand_dims(mx::astype(rows, dtype), 0);
}

// The positions of a cache's rows, [n].
mx::array positions_of(const KvCache& cache, int n) {
  const KvCache::State& state = cache.state();
  const auto rows = mx::arange(n);
  if (state.n_gone() == 0) return rows;
  return mx::where(mx::less(rows, mx::array(state.keep)), rows,
                   mx::add(rows, mx::array(state.n_gone())));
}

// What is added to the scores of a segment, [H or 1, n_rows, n_keys] float32.
mx::array bias_of(const AttentionSegment& s, const AttentionOptions& o,
                  const mx::array& positions) {
  const int length = s.position + s.n_rows, n_keys = positions.shape(0);
  const auto query = mx::expand_dims(mx::arange(s.position, length), 1);
  const auto key = mx::expand_dims(positions, 0);
  const auto distance = mx::subtract(key, query);
  mx::array seen = mx::full({s.n_rows, n_keys}, true, mx::bool_);
  if (o.causal)
    seen = mx::logical_and(seen, mx::less_equal(distance, mx::array(0)));
  if (o.window > 0) {
    const auto near =
        mx::logical_or(mx::greater(distance, mx::array(-o.window)),
                       mx::less(key, mx::array(o.keep)));
    seen = mx::logical_and(seen, near);
  }
  mx::array bias = mx::zeros({1, s.n_rows, n_keys}, mx::float32);
  if (o.slopes) {
    bias = mx::add(bias, mx::multiply(mx::reshape(*o.slopes, {-1, 1, 1}),
                                      mx::astype(distance, mx::float32)));
  }
  if (o.mask) {
    const auto rows =
        mx::slice(*o.mask, {s.first_row, 0}, {s.first_row + s.n_rows, length});
    bias = mx::add(bias, mx::take(rows, positions, 1));
  }
  return mx::where(seen, bias, mx::array(-INFINITY));
}

// q [1, H, n, d], k and v [1, K, S, *] -> [1, H, n, *]; step by step, as the
// soft cap lies between the scores and what is added to them.
mx::array attend_capped(const mx::array& q, const mx::array& k,
                        const mx::array& v, const mx::array& bias,
                        const AttentionOptions& o) {
  const int n_heads = q.shape(1);
  const int groups = n_heads / k.shape(1);
  const auto all = [&](const mx::array& x) { return mx::repeat(x, groups, 1); };
  const mx::array cap(o.soft_cap);
  mx::array scores = mx::multiply(
      mx::matmul(mx::astype(q, mx::float32),
                 mx::swapaxes(mx::astype(all(k), mx::float32), 2, 3)),
      mx::array(o.scale));
  scores = mx::multiply(cap, mx::tanh(mx::divide(scores, cap)));
  scores = mx::add(scores, bias);
  if (o.sinks) {
    const auto sinks = mx::broadcast_to(
        mx::reshape(*o.sinks, {1, n_heads, 1, 1}), {1, n_heads, q.shape(2), 1});
    scores = mx::concatenate({scores, sinks}, -1);
  }
  auto weights = mx::softmax(scores, std::vector<int>{-1}, true);
  weights =
      mx::slice(weights, {0, 0, 0, 0}, {1, n_heads, q.shape(2), k.shape(2)});
  return mx::astype(mx::matmul(weights, mx::astype(all(v), mx::float32)),
                    q.dtype());
}

mx::array attend(const mx::array& q, const mx::array& k, const mx::array& v,
                 const AttentionSegment& s, const AttentionOptions& o,
                 const mx::array& positions) {
  if (o.soft_cap != 0)
    return attend_capped(q, k, v, bias_of(s, o, positions), o);
  const bool windowed = o.window > 0 && o.window < s.position + s.n_rows;
  std::string mode = s.n_rows == 1 || !o.causal ? "" : "causal";
  std::optional<mx::array> mask, sinks;
  if (windowed || o.slopes || o.mask) {
    mode = "array";
    mask = mx::astype(bias_of(s, o, positions), q.dtype());
  }
  if (o.sinks) sinks = mx::astype(*o.sinks, q.dtype());
  return mx::fast::scaled_dot_product_attention(q, k, v, o.scale, mode, mask,
                                                sinks);
}

}  // namespace

mx::array append_and_attend_fallback(
    const mx::array& q, const mx::array& k, const mx::array& v,
    const std::vector<AttentionSegment>& segments,
    const std::vector<KvCache>& caches, const AttentionOptions& options) {
  std::vector<mx::array> outs;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const AttentionSegment& s = segments[i];
    const int n_held = s.position + s.n_rows - caches[i].state().n_gone();
    KeyValue& held = *caches[i].state().arrays;
    held = {append(held.keys, rows_of(k, s), caches[i], s.position),
            append(held.values, rows_of(v, s), caches[i], s.position)};
    const auto out = attend(heads_first(rows_of(q, s)),
                            first_rows(held.keys, n_held, q.dtype()),
                            first_rows(held.values, n_held, q.dtype()), s,
                            options, positions_of(caches[i], n_held));
    outs.push_back(mx::transpose(mx::squeeze(out, 0), {1, 0, 2}));
  }
  return outs.size() == 1 ? outs[0] : mx::concatenate(outs, 0);
}

}  // namespace skua
