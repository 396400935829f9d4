#pragma once

#include <cstddef>
#include <cstdint>

namespace skua::cpu {

struct Largest {
  float value = 0;
  /** The lowest of those that hold the value. */
  std::size_t index = 0;
  /** No number is NaN or +inf, and one is finite; else the others mean
   *  nothing. */
  bool usable = false;
};

/** The largest of x [n], n > 0, in one pass. */
Largest largest_of(const float* x, std::size_t n);

constexpr std::size_t kVocabularyBlock = 1024;

/** y = e^d with d = (x - max) / divisor, where no x is above max and
 *  divisor > 0. Relative error 2.5e-7 + 1.8e-7 |d|; 0 below d = -86.6.
 *  x, y   [n]; y may be x, or null if only the sums are wanted
 *  sums   [ceil(n / kVocabularyBlock)]: the sum of each block of y; may be null
 *  Returns the sum of y, added in float64 in one fixed order. */
double softmax_weights(const float* x, std::size_t n, float max, float divisor,
                       float* y, double* sums);

/** y = x - log(sum(e^x)); x, y [n] with a largest that is usable; y may be x.
 *  Error at most 1e-6 + 2^-23 |y|. */
void log_softmax(const float* x, std::size_t n, float* y);

/** The sum of weights [n] times x - max, where no x [n] is above max, as
 *  entropies have it. What weighs nothing may be -inf. Relative error 3e-7. */
double weighted_distance(const float* x, const float* weights, std::size_t n,
                         float max);

/** Of the finite ones of x [n]; max is their largest. */
double standard_deviation(const float* x, std::size_t n, float max);

constexpr std::size_t kBounds = 8;

/** sums[j] = the sum of weights [n] where x [n] >= bounds[j]. Relative error
 *  2e-7. */
void sums_above(const float* x, const float* weights, std::size_t n,
                const float (&bounds)[kBounds], double (&sums)[kBounds]);

/** counts[j] = how many of x [n] are >= bounds[j]. */
void counts_above(const float* x, std::size_t n, const float (&bounds)[kBounds],
                  std::size_t (&counts)[kBounds]);

struct LogitRange {
  float least = 0;
  float below = 0;
};

/** What select reads, each [n]. */
struct Columns {
  const float* x = nullptr;
  /** Null: first_id, first_id + 1, ... */
  const std::int32_t* ids = nullptr;
  /** Other numbers; may be null. */
  const float* more = nullptr;
  std::int32_t first_id = 0;
};

/** Where select writes, with room for n each; they may be what it reads.
 *  `more` is used if there is some. */
struct KeptColumns {
  float* x = nullptr;
  std::int32_t* ids = nullptr;
  float* more = nullptr;
};

struct Kept {
  std::size_t n = 0;
  /** Of the x kept; of none, +inf and -inf. */
  float least = 0, most = 0;
};

/** Copies what stands at x with range.least <= x < range.below, in its order.
 */
Kept select(const Columns& from, std::size_t n, LogitRange range,
            const KeptColumns& to);

}  // namespace skua::cpu
