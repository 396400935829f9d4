#pragma once

#include <mlx/array.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "generate/sampler.h"

namespace skua {

namespace mx = mlx::core;

/** Whose choice a row of logits is for, and how many tokens the answer has
 *  before it. */
struct Foresight {
  std::shared_ptr<const Sampler> sampler;
  std::size_t step = 0;
};

/** Whether foresee() draws; elsewhere it takes the likeliest tokens. */
bool foresees_draws();

/** What Sampler::foresee says of each row, as a node of MLX's graph from which
 *  the next step can begin.
 *  logits   [n, V] float32
 *  rows     n
 *  Returns [n] int32. */
mx::array foresee(const mx::array& logits, std::vector<Foresight> rows);

}  // namespace skua
