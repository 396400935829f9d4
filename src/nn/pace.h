#pragma once

#include <mlx/array.h>

#include <optional>

#include "nn/batch.h"

namespace skua {

namespace mx = mlx::core;

/** Bounds the memory of a step of many rows on the CPU: MLX reserves the
 * results of all nodes that are queued, which with a pace are those of two
 * layers. */
class Pace {
 public:
  explicit Pace(const Batch& batch);

  /** Queues x, the result of a layer; waits for that of the layer before. */
  void operator()(const mx::array& x);

 private:
  bool needed_;
  std::optional<mx::array> before_;
};

}  // namespace skua
