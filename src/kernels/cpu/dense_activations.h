#pragma once

#include <cstddef>

namespace skua::cpu {

/** Columns that the dense kernels sum up in one go. */
inline constexpr std::size_t kBlockColumns = 512;
/** Columns that they read in one go; what is missing counts as zero. */
inline constexpr std::size_t kStripColumns = 32;
/** Tokens that they multiply in one go. */
inline constexpr std::size_t kTileTokens = 3;

/** Where float activations lie: those of token t and column c from
 *  x + (c / kBlockColumns) * block + (t / kTileTokens) * group
 *    + (c % kBlockColumns) / kStripColumns * strip
 *    + t % kTileTokens * token on. */
struct DenseActivations {
  const float* x = nullptr;
  std::size_t block = 0, group = 0, strip = 0, token = 0;
};

}  // namespace skua::cpu
