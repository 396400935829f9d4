#include "kernels/cpu/bf16_panels.h"

#include <algorithm>

#include "kernels/cpu/linear_rows.h"

namespace skua::cpu {

void Bf16Panels::begin(const MatrixView& w, Range rows, std::size_t n_columns,
                       Order order) {
  w_ = w;
  rows_ = rows;
  n_columns_ = n_columns;
  order_ = order;
  n_row_parts_ = (rows.size() + Bf16Part::kMaxRows - 1) / Bf16Part::kMaxRows;
  n_column_parts_ = (w.n_cols + n_columns - 1) / n_columns;
  constexpr std::size_t kBytes =
      2 * Bf16Part::kMaxRows * Bf16Part::kMaxColumns * sizeof(std::uint16_t);
  if (memory_.size() == 0) memory_ = AlignedBuffer(kBytes);
  numbers_ = memory_.as<std::uint16_t>();
  n_groups_ = w.encoding == Encoding::kDense ? 0 : w.n_groups();
  scales_.resize(2 * n_groups_ * rows.size());
  if (n_groups_ == 0) return;
  scale_rows(w, rows.begin, rows.size(), scales_.data(),
             scales_.data() + scales_.size() / 2);
}

Range Bf16Panels::rows_of(std::size_t i) const {
  const std::size_t at =
      order_ == Order::kAlongRows ? i / n_column_parts_ : i % n_row_parts_;
  const std::size_t begin = rows_.begin + at * Bf16Part::kMaxRows;
  return {begin, std::min(begin + Bf16Part::kMaxRows, rows_.end)};
}

Range Bf16Panels::columns_of(std::size_t i) const {
  const std::size_t at =
      order_ == Order::kAlongRows ? i % n_column_parts_ : i / n_row_parts_;
  const std::size_t begin = at * n_columns_;
  return {begin, std::min(begin + n_columns_, w_.n_cols)};
}

const std::uint8_t* Bf16Panels::weights_of(std::size_t i) const {
  return w_.values + rows_of(i).begin * w_.row_bytes() +
         columns_of(i).begin * w_.bits / 8;
}

Bf16Part Bf16Panels::part(std::size_t i) const {
  Bf16Part part;
  if (i >= n_parts()) return part;
  part.w = &w_;
  part.rows = rows_of(i);
  part.columns = columns_of(i);
  if (n_groups_ > 0) {
    part.scales = scales_.data() + n_groups_ * (part.rows.begin - rows_.begin);
    part.biases = part.scales + scales_.size() / 2;
  }
  // One half holds the part that is multiplied, the other the next.
  part.out = numbers_ + i % 2 * Bf16Part::kMaxRows * Bf16Part::kMaxColumns;
  if (i + 1 < n_parts()) part.to_next = weights_of(i + 1) - weights_of(i);
  return part;
}

}  // namespace skua::cpu
