#pragma once

#include <mlx/array.h>

namespace skua {

namespace mx = mlx::core;

/** x / sqrt(mean(x^2) + eps) * weight over the last axis; weight is [D].
 *  Throws InvalidInput if it has another shape. */
mx::array rms_norm(const mx::array& x, const mx::array& weight, float eps);

/** Angles of a rotary embedding for T rows: cos and sin, each [T, R / 2] in
 *  float32, where R is the number of rotated dimensions of a head. */
struct RotaryAngles {
  mx::array cos;
  mx::array sin;
  bool interleaved = false;  // pairs (2i, 2i + 1) instead of (i, i + R / 2)
};

/** Throws InvalidInput unless the angles fit x of `shape` [T, H, d]. */
void check_angles(const mx::Shape& shape, const RotaryAngles& angles);

/** x [T, H, d] with the first R dimensions of each head rotated.
 *  Throws InvalidInput if the shapes do not fit.
 *  Source: arXiv 2104.09864. */
mx::array rope(const mx::array& x, const RotaryAngles& angles);

enum class Gate { kSilu, kGeluTanh };

/** activation(gate) * up; the shapes are equal. */
mx::array gated(Gate activation, const mx::array& gate, const mx::array& up);

/** The plain MLX forms: specification and GPU path. */
mx::array rms_norm_fallback(const mx::array& x, const mx::array& weight,
                            float eps);
mx::array rope_fallback(const mx::array& x, const RotaryAngles& angles);
mx::array gated_fallback(Gate activation, const mx::array& gate,
                         const mx::array& up);

}  // namespace skua
