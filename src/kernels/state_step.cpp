#include "kernels/state_step.h"

#include <mlx/mlx.h>

#include "base/thread_pool.h"
#include "kernels/cpu/state_step.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

void check(const StateStep& rows, const mx::array& state) {
  const mx::Shape& s = state.shape();
  const mx::Shape& k = rows.k.shape();
  const auto fit = [&] {
    if (s.size() != 4 || k.size() != 3 || k[1] == 0 || s[1] % k[1] != 0)
      return false;
    const mx::Shape heads = {s[0], s[1]};
    return k[0] == s[0] && k[2] == s[3] && rows.q.shape() == k &&
           rows.v.shape() == mx::Shape{s[0], s[1], s[2]} &&
           rows.log_decay.shape() == heads &&
           (!rows.beta || rows.beta->shape() == heads);
  };
  if (!fit()) {
    throw InvalidInput("state step",
                       "k is " + shape_text(k) + " and v " +
                           shape_text(rows.v.shape()) + " for a state " +
                           shape_text(s) +
                           ", expected [B, G, N] and [B, H, P] for "
                           "[B, H, P, N]");
  }
  for (const mx::array& x : {rows.q, rows.k, rows.v, rows.log_decay,
                             rows.beta.value_or(state), state}) {
    if (x.dtype() != mx::float32)
      throw InvalidInput("state step", "expected all numbers in float32");
  }
}

}  // namespace

StateResult state_step_fallback(const StateStep& rows, const mx::array& state) {
  const int n_seq = state.shape(0), n_groups = rows.k.shape(1),
            n_columns = state.shape(3);
  const auto of_group = [&](const mx::array& x) {
    return mx::reshape(x, {n_seq, n_groups, 1, 1, n_columns});
  };
  // [B, H, ...] as [B, G, H / G, ..., 1, ...] of five axes.
  const auto of_head = [&](const mx::array& x, int p, int n) {
    return mx::reshape(x, {n_seq, n_groups, -1, p, n});
  };
  const mx::array k = of_group(rows.k);
  const mx::array old = mx::multiply(of_head(state, state.shape(2), n_columns),
                                     of_head(mx::exp(rows.log_decay), 1, 1));
  mx::array u = of_head(rows.v, state.shape(2), 1);
  if (rows.beta) {
    const mx::array known = mx::sum(mx::multiply(old, k), -1, true);
    u = mx::multiply(mx::subtract(u, known), of_head(*rows.beta, 1, 1));
  }
  const mx::array now = mx::add(old, mx::multiply(u, k));
  const mx::array y = mx::sum(mx::multiply(now, of_group(rows.q)), -1);
  return {mx::reshape(y, rows.v.shape()), mx::reshape(now, state.shape())};
}

StateResult state_step(const StateStep& rows, const mx::array& state) {
  check(rows, state);
  if (!runs_kernels()) return state_step_fallback(rows, state);
  const auto size = [&](const mx::array& x, int axis) {
    return static_cast<std::size_t>(x.shape(axis));
  };
  const std::size_t n_heads = size(state, 1), n_rows = size(state, 2),
                    n_columns = size(state, 3),
                    heads_of_group = n_heads / size(rows.k, 1);
  auto body = [=](const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    for (mx::array& x : out) allocate(x);
    const auto data = [&](std::size_t i) { return in[i].data<float>(); };
    return [=, n = static_cast<std::size_t>(in[0].shape(0)) * n_heads,
            q = data(0), k = data(1), v = data(2), log_decay = data(3),
            before = data(4), beta = in.size() > 5 ? data(5) : nullptr,
            y = out[0].data<float>(), after = out[1].data<float>()] {
      parallel_for(n, [&](std::size_t i) {
        const std::size_t key = i / heads_of_group * n_columns;
        const std::size_t value = i * n_rows, at = value * n_columns;
        cpu::step_head({n_rows, n_columns, q + key, k + key, v + value,
                        beta == nullptr ? nullptr : beta + i, log_decay[i],
                        before + at, after + at, y + value});
      });
    };
  };
  std::vector<mx::array> inputs;
  for (const mx::array& x : {rows.q, rows.k, rows.v, rows.log_decay, state})
    inputs.push_back(row_contiguous(x));
  if (rows.beta) inputs.push_back(row_contiguous(*rows.beta));
  const auto made = mx::array::make_arrays(
      {rows.v.shape(), state.shape()}, {mx::float32, mx::float32},
      cpu_primitive("state_step", std::move(body)), inputs);
  return {made[0], made[1]};
}

}  // namespace skua
