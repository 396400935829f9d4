#include "kernels/cpu/state_step.h"

#include <cmath>

namespace skua::cpu {
namespace {

// Sums of so many columns are apart: the compiler adds them side by side, and
// their order does not depend on what else is in the step.
constexpr std::size_t kLanes = 8;

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

}  // namespace

void step_head(const HeadStep& h) {
  const float decay = std::exp(h.log_decay);
  for (std::size_t row = 0; row < h.n_rows; ++row) {
    const std::size_t at = row * h.n_columns;
    const float* before = h.before + at;
    float change = h.v[row];
    if (h.beta != nullptr)
      change = *h.beta * (change - decay * dot(before, h.k, h.n_columns));
    h.y[row] =
        step_row(before, h.after + at, decay, change, h.k, h.q, h.n_columns);
  }
}

}  // namespace skua::cpu
