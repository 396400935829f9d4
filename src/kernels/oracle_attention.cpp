#include "kernels/oracle_attention.h"

#include <mlx/mlx.h>

#include <cmath>
#include <string>

#include "skua/error.h"

namespace skua {
namespace {

// Head h of the rows [first, first + n) of x [T, heads, d]: [n, d].
mx::array head_rows(const mx::array& x, int first, int n, int h) {
  return mx::reshape(
      mx::slice(x, {first, h, 0}, {first + n, h + 1, x.shape(2)}),
      {n, x.shape(2)});
}

float number(const mx::array& of_heads, int h) {
  return mx::slice(mx::astype(of_heads, mx::float32), {h}, {h + 1})
      .item<float>();
}

// Of each of n queries (down) to each of n keys (across).
struct Distances {
  explicit Distances(int n)
      : key(mx::reshape(mx::arange(n), {1, n})),
        key_minus_query(mx::subtract(key, mx::reshape(mx::arange(n), {n, 1}))) {
  }

  mx::array seen(const AttentionOptions& options) const {
    mx::array all = mx::equal(key_minus_query, key_minus_query);
    if (options.causal)
      all = mx::logical_and(all, mx::less_equal(key_minus_query, mx::array(0)));
    if (options.window > 0) {
      const auto inside =
          mx::less(mx::negative(key_minus_query), mx::array(options.window));
      const auto kept = mx::less(key, mx::array(options.keep));
      all = mx::logical_and(all, mx::logical_or(inside, kept));
    }
    return all;
  }

  mx::array key;
  mx::array key_minus_query;
};

mx::array attend_head(const mx::array& q, const mx::array& k,
                      const mx::array& v, const AttentionSegment& s, int h,
                      const AttentionOptions& o) {
  const int n = s.n_rows;
  const Distances distances(n);
  mx::array scores =
      mx::multiply(mx::matmul(q, mx::transpose(k)), mx::array(o.scale));
  if (o.soft_cap > 0) {
    scores = mx::multiply(mx::array(o.soft_cap),
                          mx::tanh(mx::divide(scores, mx::array(o.soft_cap))));
  }
  if (o.slopes) {
    scores = mx::add(scores, mx::multiply(mx::array(number(*o.slopes, h)),
                                          mx::astype(distances.key_minus_query,
                                                     mx::float32)));
  }
  if (o.mask) {
    scores = mx::add(scores, mx::astype(mx::slice(*o.mask, {s.first_row, 0},
                                                  {s.first_row + n, n}),
                                        mx::float32));
  }
  scores = mx::where(distances.seen(o), scores, mx::array(-INFINITY));
  mx::array most = mx::max(scores, 1, true);
  if (o.sinks) most = mx::maximum(most, mx::array(number(*o.sinks, h)));
  const mx::array weights = mx::exp(mx::subtract(scores, most));
  mx::array total = mx::sum(weights, 1, true);
  if (o.sinks) {
    total = mx::add(
        total, mx::exp(mx::subtract(mx::array(number(*o.sinks, h)), most)));
  }
  return mx::divide(mx::matmul(weights, v), total);
}

}  // namespace

mx::array oracle_attention(const mx::array& q, const mx::array& k,
                           const mx::array& v,
                           const std::vector<AttentionSegment>& segments,
                           const AttentionOptions& options) {
  const auto wide = [](const mx::array& x) {
    return mx::astype(x, mx::float32);
  };
  const int n_heads = q.shape(1);
  const int n_sharing = n_heads / k.shape(1);
  std::vector<mx::array> rows;
  for (const AttentionSegment& s : segments) {
    if (s.position != 0) {
      throw InvalidInput("oracle", "a sequence goes on at position " +
                                       std::to_string(s.position) +
                                       ", expected all of it, from 0");
    }
    std::vector<mx::array> heads;
    for (int h = 0; h < n_heads; ++h) {
      heads.push_back(
          attend_head(head_rows(wide(q), s.first_row, s.n_rows, h),
                      head_rows(wide(k), s.first_row, s.n_rows, h / n_sharing),
                      head_rows(wide(v), s.first_row, s.n_rows, h / n_sharing),
                      s, h, options));
    }
    rows.push_back(mx::stack(heads, 1));
  }
  return mx::concatenate(rows, 0);
}

}  // namespace skua
