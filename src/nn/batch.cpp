#include "nn/batch.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <ranges>

namespace skua {

mx::array output_rows(const mx::array& x, const Batch& batch) {
  const std::vector<int>& rows = batch.output_rows;
  const auto n = static_cast<int>(rows.size());
  const auto all = std::views::iota(0, x.shape(0));
  if (std::ranges::equal(rows, all)) return x;
  return mx::take(x, mx::array(rows.begin(), {n}, mx::int32), 0);
}

mx::array result_rows(const mx::array& x, const Batch& batch) {
  return batch.result == ResultRows::kAll ? x : output_rows(x, batch);
}

}  // namespace skua
