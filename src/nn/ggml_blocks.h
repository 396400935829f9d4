#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/gguf.h"

namespace skua {

/** Decodes whole blocks to float32, exactly as the PyPI package `gguf` does.
 *  data  n blocks of `type`
 *  out   [n * block size]
 *  Serial: split by rows to use several threads. Throws InvalidInput if data
 *  is not whole blocks. Source: the block layouts of ggml's ggml-common.h. */
void ggml_decode(GgmlType type, std::span<const std::byte> data, float* out);
/** All numbers of a tensor. */
std::vector<float> ggml_decode(const GgufTensor& tensor);

/** An affine layout: value = scale * q + bias, q of `bits` bits, one scale and
 *  bias for each `group_size` values of a row. */
struct AffineFormat {
  int bits = 0;
  int group_size = 0;  // 16 is our own, MLX has 32, 64 and 128
  bool f32_scales = false;
};

/** The affine layout that holds every value of `type` exactly; none for the
 *  types that are no blocks (F32, F16, BF16). */
std::optional<AffineFormat> ggml_affine_format(GgmlType type);

/** A matrix in an affine layout, packed as MLX packs it: the q of a row are a
 *  stream of bits, lowest bits first, in little-endian 32-bit words. */
struct AffineTensor {
  AffineFormat format;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  AlignedBuffer packed;  // uint32 [rows, cols * bits / 32]
  AlignedBuffer scales;  // float or IEEE half [rows, cols / group_size]
  AlignedBuffer biases;  // as scales
};

/** Repacks a tensor of blocks without loss on all threads: scale * q + bias,
 *  computed in float32 (fused or not: the product is exact), equals what
 *  ggml_decode gives, zeros of either sign being equal.
 *  data       [rows, cols] in blocks of `type`
 *  row_order  [rows] source row of each row of the result; empty: in order
 *  The scales are halves where ggml_affine_format says so and every bias is
 *  one exactly (none overflows), else float32; see the result's format.
 *  Throws Unsupported if `type` has no affine layout, InvalidInput if the
 *  sizes disagree, row_order leaves the matrix, or a scale is not finite. */
AffineTensor ggml_to_affine(GgmlType type, std::span<const std::byte> data,
                            std::int64_t rows, std::int64_t cols,
                            std::span<const std::int64_t> row_order = {});

}  // namespace skua
