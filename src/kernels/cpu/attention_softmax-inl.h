// What attention does to a row's scores, and the sums of its softmax.
// Included once for each instruction set by way of hwy/foreach_target.h.
#if defined(SKUA_KERNELS_CPU_ATTENTION_SOFTMAX_INL_H) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef SKUA_KERNELS_CPU_ATTENTION_SOFTMAX_INL_H
#undef SKUA_KERNELS_CPU_ATTENTION_SOFTMAX_INL_H
#else
#define SKUA_KERNELS_CPU_ATTENTION_SOFTMAX_INL_H
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/attention_chunk.h"
#include "kernels/cpu/attention_numbers-inl.h"
#include "kernels/cpu/exponential-inl.h"

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// x *= factors, n numbers; n is a multiple of 16 here and below.
inline void multiply(const float* factors, std::size_t n, float* x) {
  const Floats df;
  for (std::size_t i = 0; i < n; i += kLanes) {
    hn::StoreU(hn::Mul(hn::LoadU(df, x + i), hn::LoadU(df, factors + i)), df,
               x + i);
  }
}

// x = most * tanh(x / most)
inline void cap(float most, std::size_t n, float* x) {
  const Floats df;
  const Vector factor = hn::Set(df, most);
  const Vector inverse = hn::Set(df, 1 / most);
  for (std::size_t i = 0; i < n; i += kLanes) {
    const Vector part = hn::Mul(hn::LoadU(df, x + i), inverse);
    hn::StoreU(hn::Mul(factor, hn::Tanh(df, part)), df, x + i);
  }
}

// x[i] += slope * (distance + i)
inline void lean(float slope, float distance, std::size_t n, float* x) {
  const Floats df;
  const Vector slopes = hn::Set(df, slope);
  for (std::size_t i = 0; i < n; i += kLanes) {
    const Vector at = hn::Iota(df, distance + static_cast<float>(i));
    hn::StoreU(hn::MulAdd(slopes, at, hn::LoadU(df, x + i)), df, x + i);
  }
}

// NaN if it alone stands beside -infinity: a maximum passes over it.
inline float largest(const float* x, std::size_t n) {
  const Floats df;
  // Four at once: each waits for the one before it.
  constexpr std::size_t kAtOnce = 4;
  Vector most[kAtOnce];
  for (Vector& one : most) one = hn::LoadU(df, x);
  std::size_t i = 0;
  for (; i + kAtOnce * kLanes <= n; i += kAtOnce * kLanes) {
    for (std::size_t v = 0; v < kAtOnce; ++v)
      most[v] = hn::Max(most[v], hn::LoadU(df, x + i + v * kLanes));
  }
  for (; i < n; i += kLanes) most[0] = hn::Max(most[0], hn::LoadU(df, x + i));
  most[0] = hn::Max(hn::Max(most[0], most[1]), hn::Max(most[2], most[3]));
  const float max = hn::GetLane(hn::MaxOfLanes(df, most[0]));
  if (max != -HUGE_VALF) return max;
  const float* nan = std::find_if(x, x + n, [](float y) { return y != y; });
  return nan == x + n ? max : *nan;
}

// scores = e^(scores - max); returns their sum.
inline float exponentials(float max, std::size_t n, float* scores) {
  const Floats df;
  const Vector most = hn::Set(df, max);
  Vector sums[kVectors];
  for (Vector& sum : sums) sum = hn::Zero(df);
  for (std::size_t i = 0; i < n; i += kLane) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      float* at = scores + i + v * kLanes;
      const Vector e = exponential(df, hn::Sub(hn::LoadU(df, at), most));
      hn::StoreU(e, df, at);
      sums[v] = hn::Add(sums[v], e);
    }
  }
  for (std::size_t v = 1; v < kVectors; ++v)
    sums[0] = hn::Add(sums[0], sums[v]);
  return hn::GetLane(hn::SumOfLanes(df, sums[0]));
}

// scores[begin, end) of the positions from `first` on as the options want them.
inline void change_scores(const AttentionShape& shape, const TileRow& row,
                          const float* key_scales, std::size_t first,
                          std::size_t begin, std::size_t end, float* scores) {
  // Whole vectors: what lies beside the range is overwritten later.
  const std::size_t from = begin / kLane * kLane;
  const std::size_t n = (end + kLane - 1) / kLane * kLane - from;
  if (shape.kv.type == KvType::kInt8)
    multiply(key_scales + from, n, scores + from);
  if (shape.soft_cap != 0) {
    // tanh makes integers of its numbers, and there is none for a NaN.
    std::fill(scores + from, scores + begin, 0.0f);
    std::fill(scores + end, scores + from + n, 0.0f);
    cap(shape.soft_cap, n, scores + from);
  }
  if (shape.slopes != nullptr) {
    const auto distance =
        static_cast<float>(first + from) - static_cast<float>(row.position);
    lean(shape.slopes[row.head], distance, n, scores + from);
  }
  if (row.mask != nullptr) {
    for (std::size_t j = begin; j < end; ++j) scores[j] += row.mask[first + j];
  }
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
