#pragma once

#include <array>
#include <cstdint>

namespace skua {

/** A number in (0, 1) for a seed and a counter, with 53 random bits.
 *  Source: Philox4x32-10, Salmon et al., "Parallel random numbers: as easy as
 *  1, 2, 3", SC 2011. */
double philox_uniform(std::uint64_t seed, std::uint64_t counter);

/** The generator's block function: 10 rounds on a counter and a key. */
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

}  // namespace skua
