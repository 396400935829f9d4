#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/attention.h"
#include "tests/sanitized.h"
#include "tests/unit/kernels/numbers.h"

namespace skua::test {

struct Heads {
  int n_heads, n_kv_heads, key_dim, value_dim;

  std::string name() const {
    return "H" + std::to_string(n_heads) + "K" + std::to_string(n_kv_heads) +
           "d" + std::to_string(key_dim) + "v" + std::to_string(value_dim);
  }
};

inline mx::array rows(const mx::array& x, int first, int n) {
  return mx::slice(x, {first, 0, 0}, {first + n, x.shape(1), x.shape(2)});
}

/** Rows and positions of the segments of each batch that is tried. */
inline const std::vector<std::vector<AttentionSegment>> kBatches = {
    {{0, 1, 0}},    {{0, 1, 40}},
    {{0, 19, 0}},   {{0, 5, 253}},
    {{0, 26, 500}}, {{0, 7, 0}, {0, 1, 12}, {0, 3, 5}, {0, 1, 0}, {0, 17, 511}},
};

/** A flat batch of random rows, and caches that hold random rows. */
struct Step {
  /** What a step gives, and the caches' numbers after it. */
  struct Result {
    std::vector<float> out;
    std::vector<std::vector<float>> keys, values;
  };

  Step(Heads h, std::vector<AttentionSegment> in, float spread = 1)
      : heads(h), segments(std::move(in)) {
    int t = 0;
    for (AttentionSegment& s : segments) {
      s.first_row = t;
      t += s.n_rows;
    }
    q = normal({t, h.n_heads, h.key_dim}, 1, spread);
    k = normal({t, h.n_kv_heads, h.key_dim}, 2);
    v = normal({t, h.n_kv_heads, h.value_dim}, 3);
  }

  int n_rows() const { return q.shape(0); }
  int longest() const {
    int most = 0;
    for (const AttentionSegment& s : segments)
      most = std::max(most, s.position + s.n_rows);
    return most;
  }

  KvCache make_cache(KvType type, KvCache::Layout layout) const {
    return {type, heads.n_kv_heads, heads.key_dim, heads.value_dim, layout};
  }

  /** Caches with the rows before each segment's position. */
  std::vector<KvCache> filled(KvType type, KvCache::Layout layout) const {
    std::vector<KvCache> caches;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      caches.push_back(make_cache(type, layout));
      const int n = segments[i].position;
      if (n == 0) continue;
      const std::uint64_t seed = 100 + i;
      append_and_attend(
          mx::zeros({n, heads.n_heads, heads.key_dim}),
          normal({n, heads.n_kv_heads, heads.key_dim}, seed),
          normal({n, heads.n_kv_heads, heads.value_dim}, seed + 50),
          {{0, n, 0}}, {caches.back()}, {.window = 1});
    }
    return caches;
  }

  Result run(const AttentionOptions& o, KvType type,
             KvCache::Layout layout) const {
    const auto caches = filled(type, layout);
    Result result;
    result.out = numbers(append_and_attend(q, k, v, segments, caches, o));
    for (std::size_t i = 0; i < segments.size(); ++i) {
      const KeyValue held =
          caches[i].rows(segments[i].position + segments[i].n_rows);
      result.keys.push_back(numbers(held.keys));
      result.values.push_back(numbers(held.values));
    }
    return result;
  }

  Heads heads;
  std::vector<AttentionSegment> segments;
  mx::array q = mx::array(0), k = mx::array(0), v = mx::array(0);
};

inline constexpr KvType kTypes[] = {KvType::kF32, KvType::kBf16, KvType::kF16,
                                    KvType::kInt8, KvType::kInt4};

/** Options to try. */
struct Variant {
  const char* name;
  std::function<void(AttentionOptions&, const Step&)> set;
};

inline void set_mask(AttentionOptions& o, const Step& step) {
  // Some keys are hidden, never the row's own.
  const int n = step.longest() + 3;
  const mx::array noise = normal({step.n_rows(), n}, 70);
  o.mask = mx::where(mx::greater(noise, mx::array(1.5f)), mx::array(-INFINITY),
                     noise);
  o.sinks = normal({step.heads.n_heads}, 71);
}

inline const std::vector<Variant> kVariants = {
    {"plain", [](AttentionOptions&, const Step&) {}},
    {"window 1", [](auto& o, const Step&) { o.window = 1; }},
    {"window 6", [](auto& o, const Step&) { o.window = 6; }},
    {"window 260", [](auto& o, const Step&) { o.window = 260; }},
    {"window 6, keep 4",
     [](auto& o, const Step&) {
       o.window = 6;
       o.keep = 4;
     }},
    {"all", [](auto& o, const Step&) { o.causal = false; }},
    {"cap", [](auto& o, const Step&) { o.soft_cap = 0.7f; }},
    {"sinks",
     [](auto& o, const Step& s) {
       o.sinks = normal({s.heads.n_heads}, 72, 3);
     }},
    {"slopes",
     [](auto& o, const Step& s) {
       o.slopes = mx::abs(normal({s.heads.n_heads}, 73, 0.3f));
     }},
    {"mask", set_mask},
    {"everything",
     [](auto& o, const Step& s) {
       set_mask(o, s);
       o.slopes = mx::abs(normal({s.heads.n_heads}, 74, 0.1f));
       o.soft_cap = 2;
       o.window = 40;
       o.keep = 3;
     }},
};

inline AttentionOptions options_of(const Variant& variant, const Step& step) {
  AttentionOptions o;
  o.scale = 1 / std::sqrt(static_cast<float>(step.heads.key_dim));
  variant.set(o, step);
  return o;
}

/** Scores of one query in float64, -infinity where it sees nothing. */
inline std::vector<double> oracle_scores(const Step& step,
                                         const AttentionOptions& o,
                                         const AttentionSegment& s, int row,
                                         int head, const float* q,
                                         const std::vector<float>& keys) {
  const int length = s.position + s.n_rows, d = step.heads.key_dim;
  const int kv = head / (step.heads.n_heads / step.heads.n_kv_heads);
  const int query = s.position + row;
  const auto slopes = o.slopes ? numbers(*o.slopes) : std::vector<float>();
  const auto mask = o.mask ? numbers(mx::take(*o.mask, s.first_row + row, 0))
                           : std::vector<float>();
  std::vector<double> scores;
  for (int j = 0; j < length; ++j) {
    double x = 0;
    for (int i = 0; i < d; ++i) {
      x += double{q[i]} *
           double{keys[static_cast<std::size_t>((kv * length + j) * d + i)]};
    }
    x *= o.scale;
    if (o.soft_cap != 0) x = o.soft_cap * std::tanh(x / o.soft_cap);
    if (o.slopes)
      x += double{slopes[static_cast<std::size_t>(head)]} * (j - query);
    if (o.mask) x += double{mask[static_cast<std::size_t>(j)]};
    const bool seen = (!o.causal || j <= query) &&
                      (o.window == 0 || j > query - o.window || j < o.keep);
    scores.push_back(seen ? x : -INFINITY);
  }
  return scores;
}

/** What bounds the error of a row's numbers. */
struct Magnitudes {
  double score = 0, value = 0;  // the largest, of what it sees
  double terms = 0;             // the largest scale * sum of |q_i k_i|
};

/** The bounds that attention.h states. */
inline double float32_bound(const Magnitudes& m) {
  return 2e-6 * (1 + m.score) * m.value;
}
inline double bfloat16_bound(const Magnitudes& m) {
  return float32_bound(m) +
         (std::expm1(2 * m.terms / 255) + 1.0 / 127) * m.value;
}

/** Largest scale * sum of |q_i k_i| over the positions seen.
 *  keys  [length, d], of one head */
inline double largest_terms(const std::vector<double>& scores, float scale,
                            const float* q, const float* keys, int d) {
  double most = 0;
  for (std::size_t j = 0; j < scores.size(); ++j) {
    if (!std::isfinite(scores[j])) continue;
    double sum = 0;
    for (int i = 0; i < d; ++i)
      sum += std::abs(double{q[i]} * double{keys[j * std::size_t(d) + i]});
    most = std::max(most, double{scale} * sum);
  }
  return most;
}

/** Largest error relative to its bound. */
inline double worst_by_oracle(const Step& step, const AttentionOptions& o,
                              const Step::Result& got,
                              double (*bound)(const Magnitudes&)) {
  const Heads& h = step.heads;
  const auto q = numbers(step.q);
  const auto sinks = o.sinks ? numbers(*o.sinks) : std::vector<float>();
  double most = 0;
  for (std::size_t n = 0; n < step.segments.size(); ++n) {
    const AttentionSegment& s = step.segments[n];
    const int length = s.position + s.n_rows;
    // Every seventh row and the last: the oracle is slow.
    constexpr int kStep = kSanitized ? 70 : 7;
    for (int row = (s.n_rows - 1) % kStep; row < s.n_rows; row += kStep) {
      for (int head = 0; head < h.n_heads; ++head) {
        const int at = (s.first_row + row) * h.n_heads + head;
        const auto scores = oracle_scores(
            step, o, s, row, head, &q[static_cast<std::size_t>(at * h.key_dim)],
            got.keys[n]);
        double max = *std::max_element(scores.begin(), scores.end());
        const int kv = head / (h.n_heads / h.n_kv_heads);
        Magnitudes m;
        m.terms = largest_terms(
            scores, o.scale, &q[static_cast<std::size_t>(at * h.key_dim)],
            &got.keys[n][static_cast<std::size_t>(kv * length * h.key_dim)],
            h.key_dim);
        double sum = 0;
        for (const double x : scores)
          if (std::isfinite(x)) m.score = std::max(m.score, std::abs(x));
        if (o.sinks) {
          const double sink = sinks[static_cast<std::size_t>(head)];
          max = std::max(max, sink);
          sum = std::exp(sink - max);
        }
        std::vector<double> out(static_cast<std::size_t>(h.value_dim));
        for (int j = 0; j < length; ++j) {
          const double w = std::exp(scores[static_cast<std::size_t>(j)] - max);
          if (w == 0) continue;
          sum += w;
          for (int i = 0; i < h.value_dim; ++i) {
            const double x = got.values[n][static_cast<std::size_t>(
                (kv * length + j) * h.value_dim + i)];
            m.value = std::max(m.value, std::abs(x));
            out[static_cast<std::size_t>(i)] += w * x;
          }
        }
        for (int i = 0; i < h.value_dim; ++i) {
          const double error = std::abs(
              double{got.out[static_cast<std::size_t>(at * h.value_dim + i)]} -
              out[static_cast<std::size_t>(i)] / sum);
          most = std::max(most, error / bound(m));
          if (std::isnan(error)) return INFINITY;
        }
      }
    }
  }
  return most;
}

}  // namespace skua::test
