#include "nn/state_step.h"

#include <mlx/mlx.h>

#include <cmath>

#include "base/thread_pool.h"
#include "kernels/primitive.h"

namespace skua {
namespace {

// Sums of so many columns are apart: the compiler adds them side by side, and
// their order does not depend on what else is in the step.
constexpr std::size_t kLanes = 8;

/** A head of a sequence. */
struct Head {
  std::size_t n_rows, n_columns;
  const float* q;     // [n_columns]
  const float* k;     // [n_columns]
  const float* v;     // [n_rows]
  const float* beta;  // null without the delta rule
  float decay;
  const float* before;  // [n_rows, n_columns]
  float* after;         // [n_rows, n_columns]
  float* y;             // [n_rows]
};

float total(const float (&sums)[kLanes]) {
  float all = 0;
  for (const float sum : sums) all += sum;
  return all;
}

float dot(const float* a, const float* b, std::size_t n) {
  float sums[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::size_t j = 0; j < kLanes; ++j) sums[j] += a[i + j] * b[i + j];
  for (; i < n; ++i) sums[i % kLanes] += a[i] * b[i];
  return total(sums);
}

// now = decay before + change k; returns now q.
float step_row(const float* __restrict before, float* __restrict now,
               float decay, float change, const float* __restrict k,
               const float* __restrict q, std::size_t n) {
  float sums[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float x = before[i + j] * decay + change * k[i + j];
      now[i + j] = x;
      sums[j] += x * q[i + j];
    }
  }
  for (; i < n; ++i) {
    now[i] = before[i] * decay + change * k[i];
    sums[i % kLanes] += now[i] * q[i];
  }
  return total(sums);
}

void step_head(const Head& h) {
  for (std::size_t row = 0; row < h.n_rows; ++row) {
    const std::size_t at = row * h.n_columns;
    const float* before = h.before + at;
    float change = h.v[row];
    if (h.beta != nullptr)
      change = *h.beta * (change - h.decay * dot(before, h.k, h.n_columns));
    h.y[row] =
        step_row(before, h.after + at, h.decay, change, h.k, h.q, h.n_columns);
  }
}

}  // namespace

bool steps_states() {
  return runs_kernels();
}

Recurrence::Result state_step(const StateStep& rows, const mx::array& state) {
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
        step_head({n_rows, n_columns, q + key, k + key, v + value,
                   beta == nullptr ? nullptr : beta + i, std::exp(log_decay[i]),
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
