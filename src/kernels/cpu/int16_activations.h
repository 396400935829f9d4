#pragma once

#include "base/aligned_buffer.h"

namespace skua::cpu {

/** The order in which a kernel of linear_int16 reads its activations. */
struct Int16Layout {
  int bits = 8;        // of the codes that the kernel reads: 2, 4 or 8
  bool panel = false;  // for panels of rows rather than single rows
  std::size_t group_size = 0;
  bool operator==(const Int16Layout&) const = default;
};

/** Activations of T tokens as 16-bit fixed point. */
struct Int16Activations {
  Int16Layout layout;
  std::size_t n_cols = 0;
  std::size_t n_groups = 0;  // filled up to a multiple of 8
  AlignedBuffer values;      // int16 [T, n_cols]
  AlignedBuffer scales;      // float [T, n_groups]
  AlignedBuffer sums;        // float [T, n_groups]: of each group's values
};

}  // namespace skua::cpu
