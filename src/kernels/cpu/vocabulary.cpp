#include "kernels/cpu/vocabulary.h"

#include <algorithm>
#include <cmath>
#include <limits>

// clang-format off: foreach_target comes before all that it repeats.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/vocabulary.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/exponential-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Sums run in 16 lanes on every instruction set, so that all add in one order.
constexpr std::size_t kSumLanes = 16;

using Floats = hn::CappedTag<float, kSumLanes>;
using Vector = hn::Vec<Floats>;

constexpr std::size_t kLanes = hn::MaxLanes(Floats());
constexpr std::size_t kVectors = kSumLanes / kLanes;

inline float past_all() {
  return std::numeric_limits<float>::infinity();
}

// The 16 sums in float64.
class Sums {
 public:
  HWY_INLINE Sums() {
    for (auto& part : parts_) part = hn::Zero(Doubles());
  }

  // x [16]
  HWY_INLINE void add(const float* x) {
    for (std::size_t p = 0; p < kParts; ++p) {
      const auto next = hn::LoadU(Narrow(), x + p * kDoubles);
      parts_[p] = hn::Add(parts_[p], hn::PromoteTo(Doubles(), next));
    }
  }

  double total() const {
    double lanes[kSumLanes];
    for (std::size_t p = 0; p < kParts; ++p)
      hn::StoreU(parts_[p], Doubles(), lanes + p * kDoubles);
    double sum = 0;
    for (const double lane : lanes) sum += lane;
    return sum;
  }

 private:
  using Doubles = hn::CappedTag<double, kSumLanes>;
  using Narrow = hn::Rebind<float, Doubles>;
  static constexpr std::size_t kDoubles = hn::MaxLanes(Doubles());
  static constexpr std::size_t kParts = kSumLanes / kDoubles;

  hn::Vec<Doubles> parts_[kParts];
};

// Highway's own, where emulated, gives no less than the lowest finite number.
float most_of(Vector v) {
  float lanes[kLanes];
  hn::StoreU(v, Floats(), lanes);
  return *std::max_element(lanes, lanes + kLanes);
}

Largest largest_body(const float* x, std::size_t n) {
  const Floats df;
  auto bad = hn::IsNaN(hn::Zero(df));
  Largest best{-past_all(), 0, true};
  std::size_t best_begin = 0;
  for (std::size_t begin = 0; begin < n; begin += kVocabularyBlock) {
    const std::size_t end = std::min(begin + kVocabularyBlock, n);
    Vector tops[2] = {hn::Set(df, -past_all()), hn::Set(df, -past_all())};
    std::size_t i = begin;
    for (; i + 2 * kLanes <= end; i += 2 * kLanes) {
      for (std::size_t v = 0; v < 2; ++v) {
        const Vector next = hn::LoadU(df, x + i + v * kLanes);
        bad = hn::Or(bad, hn::IsNaN(next));
        tops[v] = hn::Max(tops[v], next);
      }
    }
    float top = most_of(hn::Max(tops[0], tops[1]));
    for (; i < end; ++i) {
      if (std::isnan(x[i])) best.usable = false;
      top = std::max(top, x[i]);
    }
    if (top > best.value) {
      best.value = top;
      best_begin = begin;
    }
  }
  best.usable =
      best.usable && hn::AllFalse(df, bad) && std::isfinite(best.value);
  if (best.usable) {
    best.index = best_begin;
    while (x[best.index] != best.value) ++best.index;
  }
  return best;
}

// A block of softmax_weights; n <= kVocabularyBlock.
double block_weights(const float* x, std::size_t n, float max, float scale,
                     float* y) {
  const Floats df;
  const Vector most = hn::Set(df, max), factor = hn::Set(df, scale);
  const auto weight = [&](Vector v) {
    return exponential(df, hn::Mul(hn::Sub(v, most), factor));
  };
  Sums sums;
  std::size_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      const Vector e = weight(hn::LoadU(df, x + i + v * kLanes));
      hn::StoreU(e, df, y + i + v * kLanes);
    }
    sums.add(y + i);
  }
  double sum = sums.total();
  for (; i < n; ++i) {
    y[i] = hn::GetLane(weight(hn::Set(df, x[i])));
    sum += y[i];
  }
  return sum;
}

double softmax_weights_body(const float* x, std::size_t n, float max,
                            float scale, float* y, double* sums) {
  float unused[kVocabularyBlock];
  double total = 0;
  for (std::size_t i = 0; i < n; i += kVocabularyBlock) {
    const std::size_t size = std::min(kVocabularyBlock, n - i);
    const double sum =
        block_weights(x + i, size, max, scale, y == nullptr ? unused : y + i);
    if (sums != nullptr) sums[i / kVocabularyBlock] = sum;
    total += sum;
  }
  return total;
}

// y = (x - max) - log_sum: both parts are negative, nothing cancels.
void subtract_norm(const float* x, std::size_t n, float max, float log_sum,
                   float* y) {
  const Floats df;
  const Vector most = hn::Set(df, max), norm = hn::Set(df, log_sum);
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vector d = hn::Sub(hn::LoadU(df, x + i), most);
    hn::StoreU(hn::Sub(d, norm), df, y + i);
  }
  for (; i < n; ++i) y[i] = (x[i] - max) - log_sum;
}

// A float32 sum takes just so many numbers before it goes into float64.
constexpr std::size_t kGroup = 4;

template <bool kWeighted>
double sum_above(const float* x, const float* weights, std::size_t n,
                 float bound) {
  const Floats df;
  const Vector least = hn::Set(df, bound), one = hn::Set(df, 1.0f);
  const auto term = [&](std::size_t at) {
    const auto above = hn::Ge(hn::LoadU(df, x + at), least);
    return hn::IfThenElseZero(above,
                              kWeighted ? hn::LoadU(df, weights + at) : one);
  };
  Sums sums;
  float groups[kSumLanes];
  std::size_t i = 0;
  for (; i + kGroup * kSumLanes <= n; i += kGroup * kSumLanes) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      Vector group = term(i + v * kLanes);
      for (std::size_t g = 1; g < kGroup; ++g)
        group = hn::Add(group, term(i + g * kSumLanes + v * kLanes));
      hn::StoreU(group, df, groups + v * kLanes);
    }
    sums.add(groups);
  }
  double sum = sums.total();
  for (; i < n; ++i)
    if (x[i] >= bound) sum += kWeighted ? weights[i] : 1.0f;
  return sum;
}

template <bool kWeighted>
void sums_above_as(const float* x, const float* weights, std::size_t n,
                   const float* bounds, double* sums) {
  std::fill_n(sums, kBounds, 0.0);
  for (std::size_t i = 0; i < n; i += kVocabularyBlock) {
    const std::size_t size = std::min(kVocabularyBlock, n - i);
    for (std::size_t b = 0; b < kBounds; ++b) {
      sums[b] += sum_above<kWeighted>(x + i, kWeighted ? weights + i : nullptr,
                                      size, bounds[b]);
    }
  }
}

void sums_above_body(const float* x, const float* weights, std::size_t n,
                     const float* bounds, double* sums) {
  weights == nullptr ? sums_above_as<false>(x, weights, n, bounds, sums)
                     : sums_above_as<true>(x, weights, n, bounds, sums);
}

Kept select_body(const float* x, const std::int32_t* ids, std::int32_t first,
                 std::size_t n, LogitRange range, float* kept,
                 std::int32_t* kept_ids) {
  const Floats df;
  const Vector least = hn::Set(df, range.least);
  const Vector below = hn::Set(df, range.below);
  const Vector none_low = hn::Set(df, past_all());
  const Vector none_high = hn::Set(df, -past_all());
  Vector low = none_low, high = none_high;
  std::size_t n_kept = 0;
  // Without branches. Never overtakes what is still to be read.
  const auto copy = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const float v = x[i];
      kept_ids[n_kept] =
          ids == nullptr ? first + static_cast<std::int32_t>(i) : ids[i];
      kept[n_kept] = v;
      n_kept += static_cast<std::size_t>(v >= range.least) &
                static_cast<std::size_t>(v < range.below);
    }
  };
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vector v = hn::LoadU(df, x + i);
    const auto in = hn::And(hn::Ge(v, least), hn::Lt(v, below));
    if (hn::AllFalse(df, in)) continue;
    low = hn::Min(low, hn::IfThenElse(in, v, none_low));
    high = hn::Max(high, hn::IfThenElse(in, v, none_high));
    copy(i, i + kLanes);
  }
  const std::size_t n_before = n_kept;
  copy(i, n);
  Kept result{n_kept, -most_of(hn::Neg(low)), most_of(high)};
  for (std::size_t k = n_before; k < n_kept; ++k) {
    result.least = std::min(result.least, kept[k]);
    result.most = std::max(result.most, kept[k]);
  }
  return result;
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua::cpu {

HWY_EXPORT(largest_body);
HWY_EXPORT(softmax_weights_body);
HWY_EXPORT(subtract_norm);
HWY_EXPORT(sums_above_body);
HWY_EXPORT(select_body);

Largest largest_of(const float* x, std::size_t n) {
  return HWY_DYNAMIC_DISPATCH(largest_body)(x, n);
}

double softmax_weights(const float* x, std::size_t n, float max, float scale,
                       float* y, double* sums) {
  return HWY_DYNAMIC_DISPATCH(softmax_weights_body)(x, n, max, scale, y, sums);
}

void log_softmax(const float* x, std::size_t n, float* y) {
  const float max = largest_of(x, n).value;
  const double sum = softmax_weights(x, n, max, 1.0f, nullptr, nullptr);
  HWY_DYNAMIC_DISPATCH(subtract_norm)
  (x, n, max, static_cast<float>(std::log(sum)), y);
}

void sums_above(const float* x, const float* weights, std::size_t n,
                const float (&bounds)[kBounds], double (&sums)[kBounds]) {
  HWY_DYNAMIC_DISPATCH(sums_above_body)(x, weights, n, bounds, sums);
}

Kept select(const float* x, const std::int32_t* ids, std::int32_t first,
            std::size_t n, LogitRange range, float* kept,
            std::int32_t* kept_ids) {
  return HWY_DYNAMIC_DISPATCH(select_body)(x, ids, first, n, range, kept,
                                           kept_ids);
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
