#include "kernels/cpu/bf16_panel.h"

#include <algorithm>

#include "kernels/cpu/linear_rows.h"

namespace skua::cpu {

WeightFetch::WeightFetch(const MatrixView& w, Range rows, Range columns)
    : at_(w.values + rows.begin * w.row_bytes() + columns.begin * w.bits / 8),
      row_bytes_(w.row_bytes()),
      n_bytes_(columns.size() * w.bits / 8),
      n_rows_(rows.size()) {}

void Bf16Panel::begin(const MatrixView& w, Range rows) {
  w_ = w;
  rows_ = rows;
  constexpr std::size_t kBytes = kMaxRows * kMaxColumns * sizeof(std::uint16_t);
  if (numbers_.size() == 0) numbers_ = AlignedBuffer(kBytes);
  n_groups_ = w.encoding == Encoding::kDense ? 0 : w.n_groups();
  scales_.resize(2 * n_groups_ * rows.size());
  if (n_groups_ == 0) return;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    float* scales = scales_.data() + 2 * n_groups_ * i;
    scale_row(w, rows.begin + i, scales, scales + n_groups_);
  }
}

void Bf16Panel::load(Range part, Range columns) {
  for (std::size_t i = 0; i < part.size(); ++i) {
    const std::size_t row = std::min(part.begin + i, rows_.size() - 1);
    std::uint16_t* out = numbers_.as<std::uint16_t>() +
                         i / kTileLanes * kRowTile + i % kTileLanes * kBf16Step;
    const float* scales = scales_.data() + 2 * n_groups_ * row;
    decode_bf16(w_, rows_.begin + row, columns, scales, scales + n_groups_, out,
                kTileNumbers);
  }
}

WeightFetch Bf16Panel::next(Range part, Range columns) const {
  const std::size_t n = part.size();
  const std::size_t below = rows_.begin + part.end;
  if (below < rows_.end)
    return {w_, {below, std::min(below + n, rows_.end)}, columns};
  if (columns.end == w_.n_cols) return {};
  return {w_,
          {rows_.begin, std::min(rows_.begin + n, rows_.end)},
          {columns.end, std::min(columns.end + columns.size(), w_.n_cols)}};
}

}  // namespace skua::cpu
