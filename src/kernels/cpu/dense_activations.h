#pragma once

#include <cstddef>

namespace skua::cpu {

/** Columns that the dense kernels sum up in one go. */
inline constexpr std::size_t kBlockColumns = 512;

/** Float activations, block by block of columns: those of block b and token t
 *  are at x + b * block_stride + t * token_stride, filled up with zeros to a
 *  multiple of kStripColumns. */
struct DenseActivations {
  static constexpr std::size_t kStripColumns = 32;

  const float* x = nullptr;
  std::size_t block_stride = 0;
  std::size_t token_stride = 0;

  DenseActivations from_token(std::size_t t) const {
    return {x + t * token_stride, block_stride, token_stride};
  }
  const float* block(std::size_t b) const { return x + b * block_stride; }
};

}  // namespace skua::cpu
