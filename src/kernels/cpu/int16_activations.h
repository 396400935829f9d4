#pragma once

#include "base/aligned_buffer.h"

namespace skua::cpu {

/** The sum of group g goes to partial sum g % kPartials, so that any kernel
 *  which walks the groups in order rounds alike. */
inline constexpr std::size_t kPartials = 8;

/** The largest magnitude of a fixed-point number of so many bits: that of 16
 *  is 256 high + low with two signed bytes. */
constexpr int max_fixed(int bits) {
  return bits == 16 ? 127 * 256 + 127 : 127;
}

/** Groups, filled up to whole sets of partial sums. */
constexpr std::size_t padded_groups(std::size_t n_groups) {
  return (n_groups + kPartials - 1) / kPartials * kPartials;
}

/** The order in which a kernel of linear_int16 reads its activations. */
struct Int16Layout {
  int bits = 8;         // of the codes that the kernel reads: 2, 4 or 8
  int value_bits = 16;  // of an activation: 16, or 8 for panels
  bool panel = false;   // for panels of rows rather than single rows
  std::size_t group_size = 0;
  bool operator==(const Int16Layout&) const = default;
};

/** Activations of T tokens in fixed point, each number times its group's
 *  scale. A token's groups are filled up with zeros to whole sets of partial
 *  sums. */
struct Int16Activations {
  Int16Layout layout;
  std::size_t n_cols = 0;
  std::size_t n_groups = 0;  // of n_cols columns
  std::size_t n_padded = 0;  // with those filled up
  AlignedBuffer values;      // [T, stride()] numbers, arranged as layout says
  AlignedBuffer scales;      // float [T, n_padded]
  AlignedBuffer sums;        // float [T, n_padded]: of each group's values

  std::size_t stride() const { return n_padded * layout.group_size; }
};

}  // namespace skua::cpu
