#include "kernels/cpu/attention_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/bf16_rows.h"

// clang-format off: foreach_target comes before all that it repeats.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_weights.cpp"
#include <hwy/foreach_target.h>

#include <hwy/highway.h>
#include "kernels/cpu/attention_softmax-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

// Brings a row's sums to the largest score of both.
void raise_largest(std::size_t n_columns, float largest, float* sums) {
  float& max = sums[n_columns];
  if (!(largest > max)) return;
  const float factor = std::exp(max - largest);
  const Floats df;
  const Vector factors = hn::Set(df, factor);
  for (std::size_t i = 0; i < n_columns; i += kLanes)
    hn::StoreU(hn::Mul(hn::LoadU(df, sums + i), factors), df, sums + i);
  sums[n_columns + 1] *= factor;
  max = largest;
}

// Scores of a row that sees [begin, end), in place; false if all are 0.
bool weigh_row(const AttentionShape& shape, const TileRow& row,
               const KvHead& head, std::size_t first, Range slots,
               float* scores, float* sums) {
  constexpr float kNothing = -std::numeric_limits<float>::infinity();
  const auto [begin, end] = row.slots(first);
  if (begin == end) return false;
  change_scores(shape, row, head.key_scales, first, begin, end, scores);
  std::fill(scores + slots.begin, scores + begin, kNothing);
  std::fill(scores + end, scores + slots.end, kNothing);
  float* at = scores + slots.begin;
  const float max = largest(at, slots.size());
  if (max == kNothing) return false;
  const std::size_t n_columns = shape.kv.n_strips() * kLane;
  raise_largest(n_columns, max, sums);
  sums[n_columns + 1] += exponentials(sums[n_columns], slots.size(), at);
  if (shape.kv.type == KvType::kInt8) {
    multiply(head.value_scales + slots.begin, slots.size(), at);
    // Positions that nobody sees may have no scale.
    std::fill(scores + slots.begin, scores + begin, 0.0f);
    std::fill(scores + end, scores + slots.end, 0.0f);
  }
  return true;
}

void weigh_scores(const AttentionShape& shape, std::span<const TileRow> rows,
                  const KvHead& head, std::size_t first, Range slots,
                  float* scores, std::uint16_t* weights, float* sums) {
  for (const TileRow& row : rows) {
    if (weigh_row(shape, row, head, first, slots, scores, sums)) {
      round_bf16(scores + slots.begin, slots.size(), false,
                 weights + slots.begin);
    } else {
      std::fill_n(weights + slots.begin, slots.size(), std::uint16_t{0});
    }
    scores += kPage;
    weights += kPage;
    sums += sums_stride(shape.kv);
  }
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua::cpu {

HWY_EXPORT(weigh_scores);

void weigh_scores(const AttentionShape& shape, std::span<const TileRow> rows,
                  const KvHead& head, std::size_t first, Range slots,
                  float* scores, std::uint16_t* weights, float* sums) {
  HWY_DYNAMIC_DISPATCH(weigh_scores)
  (shape, rows, head, first, slots, scores, weights, sums);
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
