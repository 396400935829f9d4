#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "kernels/elementwise.h"
#include "nn/batch.h"

namespace skua {

struct RopeConfig {
  int dims = 0;  // rotated dimensions of a head, even
  double base = 10000;
  int max_positions = 0;     // the model's context, where a scaling needs it
  bool interleaved = false;  // pairs (2i, 2i + 1)
  Json scaling;              // the checkpoint's rope_scaling, or null
  std::string where = "rope_scaling";
};

/** A rotary embedding with its long-context scaling: default, linear,
 *  dynamic, llama3, yarn, longrope, or `factors` (explicit divisors of the
 *  frequencies, as GGUF files carry them).
 *  Frequencies and angles are computed in float64 on the host.
 *  Sources: arXiv 2104.09864, 2309.00071, 2402.13753; mlx-lm rope_utils. */
class Rope {
 public:
  /** Throws InvalidInput (a field is missing or of another kind),
   *  Unsupported (scaling type). */
  explicit Rope(RopeConfig config);

  /** The angles of all rows of the batch, for every layer of a step. */
  RotaryAngles angles(const Batch& batch) const;

 private:
  // Frequencies for a call that ends at `length` positions.
  std::vector<double> frequencies(int length) const;

  RopeConfig config_;
  std::string type_;
  std::vector<double> frequencies_;  // [dims / 2], radians per position
  double magnitude_ = 1;             // what the rotated numbers are scaled by
};

}  // namespace skua
