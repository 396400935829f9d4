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

// scores = e^(scores - max), to 2^-18 of themselves, as weights of 8 bits need
// them; returns their sum. The polynomial is fitted to 2^x for |x| <= 1/2 with
// the least largest relative error, and 1 at 0.
float rough_exponentials(float max, std::size_t n, float* scores) {
  const Floats df;
  const hn::Rebind<std::int32_t, Floats> di;
  constexpr float kLog2E = 1.44269504f;
  // Brings a whole number, and the bias of exponents, to the lowest bits.
  const Vector magic = hn::Set(df, 0x1.8p23f + 127);
  const Vector offset = hn::Set(df, -kLog2E * max);
  Vector sum = hn::Zero(df);
  for (std::size_t i = 0; i < n; i += kLanes) {
    const Vector x =
        hn::MulAdd(hn::LoadU(df, scores + i), hn::Set(df, kLog2E), offset);
    const Vector shifted = hn::Add(x, magic);
    const Vector part = hn::Sub(x, hn::Sub(shifted, magic));
    Vector y = hn::Set(df, 9.5828530e-3f);
    for (const float factor :
         {5.5906425e-2f, 2.4024099e-1f, 6.9312419e-1f, 1.0f})
      y = hn::MulAdd(y, part, hn::Set(df, factor));
    const Vector power =
        hn::BitCast(df, hn::ShiftLeft<23>(hn::BitCast(di, shifted)));
    const auto tiny = hn::Lt(x, hn::Set(df, -126.0f));
    const Vector e = hn::IfThenZeroElse(tiny, hn::Mul(y, power));
    hn::StoreU(e, df, scores + i);
    sum = hn::Add(sum, e);
  }
  return hn::GetLane(hn::SumOfLanes(df, sum));
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
  sums[n_columns + 1] += rough_exponentials(sums[n_columns], slots.size(), at);
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
