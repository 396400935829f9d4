#pragma once

#include <cstddef>

namespace skua::cpu {

/** A step of the state of one head of one sequence. */
struct HeadStep {
  std::size_t n_rows, n_columns;
  const float* q;     // [n_columns]
  const float* k;     // [n_columns]
  const float* v;     // [n_rows]
  const float* beta;  // of the delta rule, else null
  float log_decay;
  const float* before;  // [n_rows, n_columns]
  float* after;         // [n_rows, n_columns]
  float* y;             // [n_rows]
};

/** after = exp(log_decay) before + u k^T, y = after q, where u is v or
 *  beta (v - exp(log_decay) before k). */
void step_head(const HeadStep& step);

}  // namespace skua::cpu
