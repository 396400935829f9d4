#include "kernels/elementwise.h"

#include <mlx/fast.h>
#include <mlx/mlx.h>

#include "kernels/compiled.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

bool takes_cpu_kernel(const mx::array& x) {
  return runs_kernels() && x.dtype() == mx::float32;
}

// (a, b) turned by the angles of cos and sin.
std::vector<mx::array> rotate(const std::vector<mx::array>& in) {
  const mx::array &a = in[0], &b = in[1], &cos = in[2], &sin = in[3];
  return {mx::subtract(mx::multiply(a, cos), mx::multiply(b, sin)),
          mx::add(mx::multiply(a, sin), mx::multiply(b, cos))};
}

std::vector<mx::array> silu_gate(const std::vector<mx::array>& in) {
  const mx::array &gate = in[0], &up = in[1];
  return {mx::multiply(mx::multiply(gate, mx::sigmoid(gate)), up)};
}

std::vector<mx::array> gelu_tanh_gate(const std::vector<mx::array>& in) {
  const mx::array &gate = in[0], &up = in[1];
  const auto c = [&](float value) { return mx::array(value, gate.dtype()); };
  const auto cubic =
      mx::multiply(c(0.044715f), mx::multiply(gate, mx::multiply(gate, gate)));
  const auto inner = mx::multiply(c(0.7978845608028654f), mx::add(gate, cubic));
  const auto half = mx::multiply(c(0.5f), gate);
  return {
      mx::multiply(mx::multiply(half, mx::add(c(1.0f), mx::tanh(inner))), up)};
}

}  // namespace

void check_angles(const mx::Shape& shape, const RotaryAngles& angles) {
  const mx::array& cos = angles.cos;
  if (shape.size() != 3 || cos.ndim() != 2 || cos.shape(0) != shape[0] ||
      2 * cos.shape(1) > shape[2] || angles.sin.shape() != cos.shape() ||
      cos.dtype() != mx::float32 || angles.sin.dtype() != mx::float32) {
    throw InvalidInput("rope", "x is " + shape_text(shape) + " and cos is " +
                                   shape_text(cos.shape()) +
                                   ", expected [T, H, d] and [T, <= d / 2] of "
                                   "type float32");
  }
}

mx::array rms_norm_fallback(const mx::array& x, const mx::array& weight,
                            float eps) {
  if (OracleScope::is_active()) {
    const auto wide = mx::astype(x, mx::float32);
    const auto mean = mx::mean(mx::multiply(wide, wide), -1, true);
    return mx::multiply(
        mx::divide(wide, mx::sqrt(mx::add(mean, mx::array(eps)))), weight);
  }
  return mx::fast::rms_norm(x, weight, eps);
}

mx::array rms_norm(const mx::array& x, const mx::array& weight, float eps) {
  const int d = x.shape(-1);
  if (weight.ndim() != 1 || weight.shape(0) != d) {
    throw InvalidInput("rms_norm", "weight is " + shape_text(weight.shape()) +
                                       ", expected [" + std::to_string(d) +
                                       "]");
  }
  if (!takes_cpu_kernel(x) || weight.dtype() != mx::float32)
    return rms_norm_fallback(x, weight, eps);
  auto body = [eps](const std::vector<mx::array>& in,
                    std::vector<mx::array>& out) {
    allocate(out[0]);
    const auto n_cols = static_cast<std::size_t>(in[1].size());
    return [x = in[0].data<float>(), w = in[1].data<float>(),
            n_rows = in[0].size() / n_cols, n_cols, eps,
            y = out[0].data<float>()] {
      cpu::rms_norm(x, w, n_rows, n_cols, eps, y);
    };
  };
  return mx::array(x.shape(), mx::float32,
                   cpu_primitive("rms_norm", std::move(body)),
                   {row_contiguous(x), row_contiguous(weight)});
}

mx::array rope_fallback(const mx::array& x, const RotaryAngles& angles) {
  check_angles(x.shape(), angles);
  const int t = x.shape(0);
  const int h = x.shape(1);
  const int half = angles.cos.shape(1);
  const auto cos = mx::expand_dims(angles.cos, 1);
  const auto sin = mx::expand_dims(angles.sin, 1);
  // [T, H, R] as pairs on the last or on the middle axis
  const int axis = angles.interleaved ? 3 : 2;
  const mx::Shape pairs =
      angles.interleaved ? mx::Shape{t, h, half, 2} : mx::Shape{t, h, 2, half};
  const auto head =
      mx::reshape(mx::slice(x, {0, 0, 0}, {t, h, 2 * half}), pairs);
  const auto a = mx::take(head, 0, axis);
  const auto b = mx::take(head, 1, axis);
  const auto rotated =
      mx::stack(fused("rotate", rotate, {a, b, cos, sin}), axis);
  const auto flat =
      mx::astype(mx::reshape(rotated, {t, h, 2 * half}), x.dtype());
  if (2 * half == x.shape(2)) return flat;
  return mx::concatenate({flat, mx::slice(x, {0, 0, 2 * half}, x.shape())}, 2);
}

mx::array rope(const mx::array& x, const RotaryAngles& angles) {
  check_angles(x.shape(), angles);
  if (!takes_cpu_kernel(x)) return rope_fallback(x, angles);
  auto body = [interleaved = angles.interleaved](
                  const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    allocate(out[0]);
    return [x = in[0].data<float>(), cos = in[1].data<float>(),
            sin = in[2].data<float>(), shape = in[0].shape(),
            half = in[1].shape(1), interleaved, y = out[0].data<float>()] {
      const auto size = [](int n) { return static_cast<std::size_t>(n); };
      cpu::rope(x, cos, sin, size(shape[0]), size(shape[1]), size(shape[2]),
                size(half), interleaved, y);
    };
  };
  return mx::array(x.shape(), mx::float32,
                   cpu_primitive("rope", std::move(body)),
                   {row_contiguous(x), row_contiguous(angles.cos),
                    row_contiguous(angles.sin)});
}

mx::array gated_fallback(Gate activation, const mx::array& gate,
                         const mx::array& up) {
  return activation == Gate::kSilu
             ? fused("silu_gate", silu_gate, {gate, up})[0]
             : fused("gelu_tanh_gate", gelu_tanh_gate, {gate, up})[0];
}

mx::array gated(Gate activation, const mx::array& gate, const mx::array& up) {
  if (gate.shape() != up.shape()) {
    throw InvalidInput("gated", "gate is " + shape_text(gate.shape()) +
                                    ", up is " + shape_text(up.shape()) +
                                    ", expected equal shapes");
  }
  if (!takes_cpu_kernel(gate) || up.dtype() != mx::float32)
    return gated_fallback(activation, gate, up);
  auto body = [activation](const std::vector<mx::array>& in,
                           std::vector<mx::array>& out) {
    allocate(out[0]);
    return [activation, gate = in[0].data<float>(), up = in[1].data<float>(),
            n = in[0].size(), y = out[0].data<float>()] {
      if (activation == Gate::kSilu)
        cpu::silu_gate(gate, up, n, y);
      else
        cpu::gelu_tanh_gate(gate, up, n, y);
    };
  };
  return mx::array(gate.shape(), mx::float32,
                   cpu_primitive("gated", std::move(body)),
                   {row_contiguous(gate), row_contiguous(up)});
}

}  // namespace skua
