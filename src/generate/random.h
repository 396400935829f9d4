#pragma once

#include <array>
#include <cstdint>

namespace skua {

/** What a random number decides. Each decision of a step has a number of its
 *  own, so that none shifts another. */
enum class Purpose : std::uint32_t {
  kDraw = 0,    // the token
  kXtc = 1,     // whether XTC has its turn
  kAccept = 2,  // whether a drafted token stands
  kDraft = 3,   // the token that a draft model proposes
};

/** A number in (0, 1) with 53 random bits, for a seed and the place where it
 *  is used: step of a sequence, and purpose.
 *  Source: Philox4x32-10, Salmon et al., "Parallel random numbers: as easy as
 *  1, 2, 3", SC 2011. */
double philox_uniform(std::uint64_t seed, std::uint64_t step,
                      Purpose purpose = Purpose::kDraw,
                      std::uint32_t sequence = 0);

/** The generator's block function: 10 rounds on a counter and a key. */
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

}  // namespace skua
