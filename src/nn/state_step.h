#pragma once

#include <optional>

#include "nn/recurrence.h"

namespace skua {

/** One row of each of B sequences, for H heads of P numbers, with G groups of
 *  heads that share keys and queries of N numbers; all float32. */
struct StateStep {
  mx::array q;                    // [B, G, N]
  mx::array k;                    // [B, G, N]
  mx::array v;                    // [B, H, P]
  mx::array log_decay;            // [B, H]
  std::optional<mx::array> beta;  // [B, H]: the delta rule
};

/** Whether state_step may be called here: on the CPU, and for no oracle. */
bool steps_states();

/** state = exp(log_decay) state; state += u k^T; y = state q, where u is v or,
 *  by the delta rule, beta (v - state k). The state is read and written once,
 *  which is what a step of a large state costs.
 *  state  [B, H, P, N]
 *  Returns y [B, H, P] and the states after it. */
Recurrence::Result state_step(const StateStep& rows, const mx::array& state);

}  // namespace skua
