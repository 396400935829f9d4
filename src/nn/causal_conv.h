#pragma once

#include <optional>
#include <vector>

#include "nn/state_cache.h"
#include "nn/weights.h"

namespace skua {

/** A short convolution over the rows of each sequence, of every channel with
 *  its own weights: y[t] = bias + sum over k of w[k] * x[t - n_taps + 1 + k].
 *  Its state, in slot 0, is the newest n_taps - 1 rows of x. A row has the same
 *  bits however a text is cut into steps. */
class CausalConv {
 public:
  /** `weight` is [channels, n_taps, 1], or [channels, 1, n_taps] as PyTorch
   *  has it. Throws InvalidInput for another shape. */
  CausalConv(const Scope& w, int channels, int n_taps);
  /** x [T, channels] -> [T, channels] */
  mx::array operator()(const mx::array& x, const Batch& batch,
                       StateCache& states) const;

 private:
  int channels_, n_taps_;
  std::vector<mx::array> taps_;  // [channels] each
  std::optional<mx::array> bias_;
};

}  // namespace skua
