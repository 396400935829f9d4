// Vectors and sums of what looks at a whole vocabulary.
// Included once for each instruction set by way of hwy/foreach_target.h.
#if defined(SKUA_KERNELS_CPU_VOCABULARY_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SKUA_KERNELS_CPU_VOCABULARY_INL_H
#undef SKUA_KERNELS_CPU_VOCABULARY_INL_H
#else
#define SKUA_KERNELS_CPU_VOCABULARY_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Sums run in 16 lanes on every instruction set, so that all add in one order.
constexpr std::size_t kSumLanes = 16;

using Floats = hn::CappedTag<float, kSumLanes>;
using Vector = hn::Vec<Floats>;

constexpr std::size_t kLanes = hn::MaxLanes(Floats());

HWY_INLINE float past_all() {
  return std::numeric_limits<float>::infinity();
}

using Doubles = hn::CappedTag<double, kSumLanes>;
using NarrowFloats = hn::Rebind<float, Doubles>;

constexpr std::size_t kDoubles = hn::MaxLanes(Doubles());
constexpr std::size_t kParts = kSumLanes / kDoubles;

// The 16 sums in float64.
class Sums {
 public:
  HWY_INLINE Sums() {
    for (auto& part : parts_) part = hn::Zero(Doubles());
  }

  // x [16]
  HWY_INLINE void add(const float* x) {
    for (std::size_t p = 0; p < kParts; ++p) {
      const auto next = hn::LoadU(NarrowFloats(), x + p * kDoubles);
      parts_[p] = hn::Add(parts_[p], hn::PromoteTo(Doubles(), next));
    }
  }

  // The sum of the vectors term(i), term(i + 16), ...: kGroup of each lane.
  template <std::size_t kGroup, class Term>
  HWY_INLINE void add_group(std::size_t i, const Term& term) {
    float groups[kSumLanes];
    for (std::size_t v = 0; v < kSumLanes; v += kLanes) {
      Vector group = term(i + v);
      for (std::size_t g = 1; g < kGroup; ++g)
        group = hn::Add(group, term(i + g * kSumLanes + v));
      hn::StoreU(group, Floats(), groups + v);
    }
    add(groups);
  }

  // Part p of 16 numbers.
  HWY_INLINE void add(std::size_t p, hn::Vec<Doubles> x) {
    parts_[p] = hn::Add(parts_[p], x);
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
  hn::Vec<Doubles> parts_[kParts];
};

// Highway's own, where emulated, gives no less than the lowest finite number.
HWY_INLINE float most_of(Vector v) {
  float lanes[kLanes];
  hn::StoreU(v, Floats(), lanes);
  return *std::max_element(lanes, lanes + kLanes);
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
