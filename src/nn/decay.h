#pragma once

#include <mlx/array.h>

namespace skua {

namespace mx = mlx::core;

/** What is left of a state that row i scales by exp(log[i]). */
struct Decay {
  mx::array between;     // [H, L, L]: at row i (down) of what row j added; 0
                         // where j > i
  mx::array from_start;  // [H, L]: at row i of the state before the rows
  mx::array to_end;      // [H, L]: at the last row of what row j added
  mx::array whole;       // [H]: of the state before, at the last row
};

/** log [H, L], at most 0. Sums are taken over the rows between, never as
 *  differences of longer sums, which would cancel. */
Decay decay_of(const mx::array& log);

}  // namespace skua
