#pragma once

#include <cstdint>

#include "models/load.h"

namespace skua::bench {

/** What one token costs, whatever computes it. */
struct ModelSize {
  double weight_bytes = 0;      // in the file: all that a step reads
  double kv_bytes = 0;          // one token, in 16 bits
  double state_bytes = 0;       // of a sequence: read and written each step
  double layer_parameters = 0;  // without embedding and head
  double last_parameters = 0;   // of them, those after the last layer's
                                // attention: one token of a prompt needs them
  double query_width = 0;       // heads x head size, of layers that attend

  /** Bytes read for each token of a step of `batch` sequences that hold
   *  `context` tokens each. */
  double bytes_per_token(double context, int batch) const {
    return weight_bytes / batch + context * kv_bytes + 2 * state_bytes;
  }

  /** Multiplications and additions for each token of a prompt: the layers as
   *  far as its last token needs them, and attention to half the prompt on
   *  average. */
  double flop_per_prompt_token(int n_prompt) const {
    return 2 * (layer_parameters - last_parameters * (1 - 1.0 / n_prompt)) +
           4 * query_width * n_prompt / 2.0;
  }
};

/** Sizes from the files and the configuration. An embedding that is not the
 *  head too is not counted: a step reads a row of it. */
ModelSize model_size(const LoadedModel& loaded);

}  // namespace skua::bench
