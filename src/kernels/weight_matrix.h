#pragma once

#include <mlx/array.h>

#include <memory>
#include <optional>
#include <string>

#include "kernels/cpu/matrix.h"
#include "kernels/moving_bytes.h"

namespace skua {

namespace mx = mlx::core;

/** How the numbers of a quantised tensor are stored, as MLX's quantize()
 *  writes them; affine also with groups of 16, which ggml's K-quants need.
 *  Source: ml-explore/mlx, docs of quantize and dequantize. */
struct Quantization {
  std::string mode = "affine";  // affine, mxfp4, mxfp8, nvfp4
  int bits = 4;                 // affine: 2, 3, 4, 5, 6, 8
  int group_size = 64;          // affine: 16, 32, 64, 128

  /** Throws Unsupported (names `where`) for a combination outside these. */
  void check(const std::string& where) const;
  bool operator==(const Quantization&) const = default;
};

/** A linear layer's weight [N, K]: dense (float32, float16, bfloat16), or
 *  packed words uint32 [N, K * bits / 32] with scales [N, K / group_size] and,
 *  if affine, biases of the same shape and type. */
struct WeightMatrix {
  mx::array weight;
  std::optional<mx::array> scales;
  std::optional<mx::array> biases;
  Quantization quantization;  // where scales are
  Precision precision = Precision::kExact;
  /** Where the arrays' bytes move to, for the CPU kernels. */
  std::shared_ptr<const MovingBytes> moving = nullptr;

  bool quantised() const { return scales.has_value(); }
  int rows() const { return weight.shape(0); }
  int cols() const;

  /** Throws InvalidInput (names `where`) unless the arrays fit together and
   *  hold [rows, cols]. */
  void check(const std::string& where, int rows, int cols) const;
};

/** True if MLX's own quantized_matmul reads this layout. */
bool is_mlx_layout(const WeightMatrix& w);

/** The numbers of w, [N, K] in float32, by plain MLX operations: the
 *  specification of every kernel that decodes weights. */
mx::array dequantize(const WeightMatrix& w);

/** How w is stored and to be multiplied, without its memory: the pointers are
 *  null, and w need not be evaluated. */
cpu::MatrixView format_of(const WeightMatrix& w);

/** For people: "bfloat16", "affine, 4 bits in groups of 64". */
std::string format_name(const cpu::MatrixView& format);

/** The matrix in memory, for the CPU kernels; w must be evaluated or be an
 *  input of the primitive that is being evaluated. */
cpu::MatrixView view(const WeightMatrix& w);

}  // namespace skua
