#include "kernels/cpu/vocabulary.h"

#include <algorithm>
#include <cmath>
#include <limits>

// clang-format off: foreach_target comes before all that it repeats.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/vocabulary.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/exponential-inl.h"
#include "kernels/cpu/vocabulary-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

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
template <bool kDivides>
double block_weights(const float* x, std::size_t n, float max, float divisor,
                     float* y) {
  const Floats df;
  const Vector most = hn::Set(df, max), by = hn::Set(df, divisor);
  const auto weight = [&](Vector v) {
    const Vector d = hn::Sub(v, most);
    return exponential(df, kDivides ? hn::Div(d, by) : d);
  };
  Sums sums;
  std::size_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    for (std::size_t v = 0; v < kSumLanes; v += kLanes) {
      const Vector e = weight(hn::LoadU(df, x + i + v));
      hn::StoreU(e, df, y + i + v);
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
                            float divisor, float* y, double* sums) {
  float unused[kVocabularyBlock];
  double total = 0;
  for (std::size_t i = 0; i < n; i += kVocabularyBlock) {
    const std::size_t size = std::min(kVocabularyBlock, n - i);
    float* out = y == nullptr ? unused : y + i;
    const double sum =
        divisor == 1 ? block_weights<false>(x + i, size, max, divisor, out)
                     : block_weights<true>(x + i, size, max, divisor, out);
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

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua::cpu {

HWY_EXPORT(largest_body);
HWY_EXPORT(softmax_weights_body);
HWY_EXPORT(subtract_norm);

Largest largest_of(const float* x, std::size_t n) {
  return HWY_DYNAMIC_DISPATCH(largest_body)(x, n);
}

double softmax_weights(const float* x, std::size_t n, float max, float divisor,
                       float* y, double* sums) {
  return HWY_DYNAMIC_DISPATCH(softmax_weights_body)(x, n, max, divisor, y,
                                                    sums);
}

void log_softmax(const float* x, std::size_t n, float* y) {
  const float max = largest_of(x, n).value;
  const double sum = softmax_weights(x, n, max, 1.0f, nullptr, nullptr);
  HWY_DYNAMIC_DISPATCH(subtract_norm)
  (x, n, max, static_cast<float>(std::log(sum)), y);
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
