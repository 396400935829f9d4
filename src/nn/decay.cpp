#include "nn/decay.h"

#include <mlx/mlx.h>

namespace skua {

Decay decay_of(const mx::array& log) {
  const int heads = log.shape(0), n = log.shape(1);
  const mx::array down =
      mx::broadcast_to(mx::expand_dims(log, -1), {heads, n, n});
  // Row m of column j counts from j + 1 on.
  const mx::array sums = mx::cumsum(mx::tril(down, -1), 1);
  const mx::array between = mx::tril(mx::exp(sums));
  const mx::array all = mx::exp(mx::cumsum(log, 1));
  return {
      between, all,
      mx::reshape(mx::slice(between, {0, n - 1, 0}, {heads, n, n}), {heads, n}),
      mx::reshape(mx::slice(all, {0, n - 1}, {heads, n}), {heads})};
}

}  // namespace skua
