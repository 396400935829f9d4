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

/** y = e^d with d = (x - max) * scale, where no x is above max and scale > 0.
 *  Relative error 2.5e-7 + 1.8e-7 |d|; 0 below d = -86.6.
 *  x, y   [n]; y may be x, or null if only the sums are wanted
 *  sums   [ceil(n / kVocabularyBlock)]: the sum of each block of y; may be null
 *  Returns the sum of y, added in float64 in one fixed order. */
double softmax_weights(const float* x, std::size_t n, float max, float scale,
                       float* y, double* sums);

/** y = x - log(sum(e^x)); x, y [n] with a largest that is usable; y may be x.
 *  Error at most 1e-6 + 2^-23 |y|. */
void log_softmax(const float* x, std::size_t n, float* y);

constexpr std::size_t kBounds = 8;

/** sums[j] = the sum of weights [n] where x [n] >= bounds[j], or their number
 *  without weights. Relative error 2e-7; numbers are exact. */
void sums_above(const float* x, const float* weights, std::size_t n,
                const float (&bounds)[kBounds], double (&sums)[kBounds]);

struct LogitRange {
  float least = 0;
  float below = 0;
};

struct Kept {
  std::size_t n = 0;
  /** Of the numbers kept; of none, +inf and -inf. */
  float least = 0, most = 0;
};

/** Copies the x [n] with range.least <= x < range.below, in their order, and
 *  their ids: ids [n], or first, first + 1, ... where ids is null. kept and
 *  kept_ids have room for n numbers, and may be x and ids. */
Kept select(const float* x, const std::int32_t* ids, std::int32_t first,
            std::size_t n, LogitRange range, float* kept,
            std::int32_t* kept_ids);

}  // namespace skua::cpu
