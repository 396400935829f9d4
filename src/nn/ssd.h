#pragma once

#include "nn/recurrence.h"

namespace skua {

/** The rows of Mamba 2's recurrence, H heads of P numbers in G groups. */
struct SsdRows {
  mx::array x;   // [T, H, P]
  mx::array b;   // [T, G, N]
  mx::array c;   // [T, G, N]
  mx::array dt;  // [T, H], the time step: more than 0
};

/** state = exp(dt a) state + dt x b^T; y = state c: for each head with the b
 *  and c of its group. The state is [H, P, N].
 *  a  [H], below 0
 *  Returns y [T, H, P] in float32.
 *  Throws InvalidInput if the shapes do not fit.
 *  Source: Dao and Gu, arXiv 2405.21060; mlx-lm ssm.py. */
mx::array ssd(const SsdRows& rows, const mx::array& a, const Batch& batch,
              StateCache& states, int slot);

}  // namespace skua
