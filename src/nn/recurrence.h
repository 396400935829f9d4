#pragma once

#include <functional>
#include <vector>

#include "kernels/state_step.h"
#include "nn/state_cache.h"

namespace skua {

/** A layer whose rows see those before them through a state in float32. */
struct Recurrence {
  using Rows = std::vector<mx::array>;

  mx::Shape state_shape;  // of one sequence
  /** One row of each of B sequences.
   *  rows   arrays [B, ...]
   *  state  [B, state_shape]
   *  Returns y [B, ...] and the states after it. */
  std::function<StateResult(const Rows& rows, const mx::array& state)> step;
  /** L rows of one sequence: arrays [L, ...] and a state [state_shape]. */
  std::function<StateResult(const Rows& rows, const mx::array& state)> chunk;
};

/** Runs it over a batch, from and to the states in `slot`.
 *  rows  arrays [T, ...]
 *  Returns y [T, ...].
 *  Prompts go in chunks of 64 rows, one sequence after the other. Fewer than
 *  32 rows of a sequence, and drafted ones, go in steps that all sequences
 *  take together: a token then has the same bits whether it was drafted or
 *  not, alone or beside others. An oracle takes nothing but steps. */
mx::array run(const Recurrence& recurrence, const Recurrence::Rows& rows,
              const Batch& batch, StateCache& states, int slot);

}  // namespace skua
