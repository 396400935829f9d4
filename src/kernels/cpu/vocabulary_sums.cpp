#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/vocabulary.h"

// clang-format off: foreach_target comes before all that it repeats.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/vocabulary_sums.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/vocabulary-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A float32 sum takes just so many numbers before it goes into float64.
constexpr std::size_t kGroup = 4;

// Adds term(i) for i < n. It takes the place of a vector; tail(i) that of one.
template <class Term, class Tail>
HWY_INLINE double sum_of(std::size_t n, const Term& term, const Tail& tail) {
  Sums sums;
  std::size_t i = 0;
  for (; i + kGroup * kSumLanes <= n; i += kGroup * kSumLanes)
    sums.add_group<kGroup>(i, term);
  double sum = sums.total();
  for (; i < n; ++i) sum += tail(i);
  return sum;
}

// All bounds at once: each number is read once.
void sums_above_body(const float* x, const float* weights, std::size_t n,
                     const float* bounds, double* sums) {
  const Floats df;
  Sums totals[kBounds];
  std::size_t i = 0;
  for (; i + kGroup * kSumLanes <= n; i += kGroup * kSumLanes) {
    for (std::size_t b = 0; b < kBounds; ++b) {
      const Vector least = hn::Set(df, bounds[b]);
      totals[b].add_group<kGroup>(i, [&](std::size_t at) {
        const auto above = hn::Ge(hn::LoadU(df, x + at), least);
        return hn::IfThenElseZero(above, hn::LoadU(df, weights + at));
      });
    }
  }
  for (std::size_t b = 0; b < kBounds; ++b) {
    sums[b] = totals[b].total();
    for (std::size_t k = i; k < n; ++k)
      if (x[k] >= bounds[b]) sums[b] += weights[k];
  }
}

void counts_above_body(const float* x, std::size_t n, const float* bounds,
                       std::size_t* counts) {
  const Floats df;
  std::size_t found[kBounds] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vector v = hn::LoadU(df, x + i);
    for (std::size_t b = 0; b < kBounds; ++b)
      found[b] += hn::CountTrue(df, hn::Ge(v, hn::Set(df, bounds[b])));
  }
  for (std::size_t b = 0; b < kBounds; ++b) {
    for (std::size_t k = i; k < n; ++k) found[b] += x[k] >= bounds[b] ? 1 : 0;
    counts[b] = found[b];
  }
}

double weighted_distance_body(const float* x, const float* weights,
                              std::size_t n, float max) {
  const Floats df;
  // Far below what weighs anything; -inf times 0 is no number.
  constexpr float kFar = -1000;
  const Vector most = hn::Set(df, max), far = hn::Set(df, kFar);
  return sum_of(
      n,
      [&](std::size_t at) {
        const Vector d = hn::Max(hn::Sub(hn::LoadU(df, x + at), most), far);
        return hn::Mul(hn::LoadU(df, weights + at), d);
      },
      [&](std::size_t at) {
        return weights[at] * std::max(x[at] - max, kFar);
      });
}

// Differences from the largest are exact in float64, and as it is one of the
// numbers, the square of their mean is at most n times the variance.
double standard_deviation_body(const float* x, std::size_t n, float max) {
  const Doubles dd;
  const NarrowFloats df;
  const auto lowest = hn::Set(df, std::numeric_limits<float>::lowest());
  const auto most = hn::Set(df, max);
  const auto wide_most = hn::Set(dd, double{max});
  Sums sums, squares;
  std::size_t n_finite = 0, i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    for (std::size_t p = 0; p < kParts; ++p) {
      const auto v = hn::LoadU(df, x + i + p * kDoubles);
      const auto finite = hn::Ge(v, lowest);
      const auto known = hn::IfThenElse(finite, v, most);
      const auto d = hn::Sub(hn::PromoteTo(dd, known), wide_most);
      sums.add(p, d);
      squares.add(p, hn::Mul(d, d));
      n_finite += hn::CountTrue(df, finite);
    }
  }
  double sum = sums.total(), square = squares.total();
  for (; i < n; ++i) {
    if (std::isinf(x[i])) continue;
    const double d = double{x[i]} - max;
    sum += d;
    square += d * d;
    ++n_finite;
  }
  const auto count = static_cast<double>(n_finite);
  const double mean = sum / count;
  return std::sqrt(std::max(0.0, square / count - mean * mean));
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua::cpu {

HWY_EXPORT(sums_above_body);
HWY_EXPORT(counts_above_body);
HWY_EXPORT(weighted_distance_body);
HWY_EXPORT(standard_deviation_body);

void sums_above(const float* x, const float* weights, std::size_t n,
                const float (&bounds)[kBounds], double (&sums)[kBounds]) {
  HWY_DYNAMIC_DISPATCH(sums_above_body)(x, weights, n, bounds, sums);
}

void counts_above(const float* x, std::size_t n, const float (&bounds)[kBounds],
                  std::size_t (&counts)[kBounds]) {
  HWY_DYNAMIC_DISPATCH(counts_above_body)(x, n, bounds, counts);
}

double weighted_distance(const float* x, const float* weights, std::size_t n,
                         float max) {
  return HWY_DYNAMIC_DISPATCH(weighted_distance_body)(x, weights, n, max);
}

double standard_deviation(const float* x, std::size_t n, float max) {
  return HWY_DYNAMIC_DISPATCH(standard_deviation_body)(x, n, max);
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
