#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/elementwise.h"
#include "kernels/weight_matrix.h"

namespace skua {

/** x w^T.
 *  x  [T, K] or [T, H, d] with H d = K, float32 on CPU, any float type on GPU
 *  w  [N, K], contiguous
 *  Returns [T, N] of x's type. On CPU a row of the result depends on its row
 *  of x alone (T and the number of threads change no bit).
 *  Throws InvalidInput if the shapes do not fit. */
mx::array linear(const mx::array& x, const WeightMatrix& w);

/** One product of several with the same x: x w^T + bias + residual. */
struct LinearPart {
  const WeightMatrix* w;
  std::optional<mx::array> bias = std::nullopt;      // [N], of x's type
  std::optional<mx::array> residual = std::nullopt;  // [T, N], of x's type
};

/** The products of all parts, computed together.
 *  Throws InvalidInput if shapes or types do not fit. */
std::vector<mx::array> linears(const mx::array& x,
                               const std::vector<LinearPart>& parts);

/** activation(x gate^T) * (x up^T), [T, N]; gate and up are [N, K].
 *  Throws InvalidInput if the shapes do not fit. */
mx::array gated_linear(Gate activation, const mx::array& x,
                       const WeightMatrix& gate, const WeightMatrix& up);

/** Rows of w, decoded.
 *  ids  [T] int32
 *  Returns [T, K] of type `dtype`. Throws InvalidInput for other ids' shape
 *  or type; an id outside [0, N) throws at evaluation on CPU. */
mx::array embedding(const mx::array& ids, const WeightMatrix& w,
                    mx::Dtype dtype);

/** The name of the code that multiplies n_tokens rows by a matrix of this
 *  format here, for people: "int16 panel", "MLX quantized_matmul". */
std::string linear_kernel(const cpu::MatrixView& format, int n_tokens);

/** The plain MLX forms: specification and GPU path. */
mx::array linear_fallback(const mx::array& x, const WeightMatrix& w);
mx::array embedding_fallback(const mx::array& ids, const WeightMatrix& w,
                             mx::Dtype dtype);

}  // namespace skua
