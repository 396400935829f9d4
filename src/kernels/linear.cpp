#include "kernels/linear.h"

#include "kernels/cpu/linear.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

std::vector<mx::array> with_weight(const mx::array& first,
                                   const WeightMatrix& w) {
  std::vector<mx::array> inputs = {first, w.weight};
  if (w.scales) inputs.push_back(*w.scales);
  if (w.biases) inputs.push_back(*w.biases);
  return inputs;
}

// The matrix whose parts are inputs 1.. of a primitive.
cpu::MatrixView view_of_inputs(const std::vector<mx::array>& inputs,
                               const Quantization& quantization) {
  WeightMatrix w{inputs[1], std::nullopt, std::nullopt, quantization};
  if (inputs.size() > 2) w.scales = inputs[2];
  if (inputs.size() > 3) w.biases = inputs[3];
  return view(w);
}

}  // namespace

mx::array linear_fallback(const mx::array& x, const WeightMatrix& w) {
  if (!w.quantised()) {
    return mx::matmul(x, mx::transpose(mx::astype(w.weight, x.dtype())));
  }
  if (!is_mlx_layout(w)) {
    return mx::matmul(x, mx::transpose(mx::astype(dequantize(w), x.dtype())));
  }
  const Quantization& q = w.quantization;
  const auto as_x = [&](const std::optional<mx::array>& a) {
    return a && q.mode == "affine" ? mx::astype(*a, x.dtype()) : a;
  };
  return mx::quantized_matmul(x, w.weight, *as_x(w.scales), as_x(w.biases),
                              true, q.group_size, q.bits, q.mode);
}

mx::array embedding_fallback(const mx::array& ids, const WeightMatrix& w,
                             mx::Dtype dtype) {
  WeightMatrix rows{mx::take(w.weight, ids, 0), std::nullopt, std::nullopt,
                    w.quantization};
  if (w.scales) rows.scales = mx::take(*w.scales, ids, 0);
  if (w.biases) rows.biases = mx::take(*w.biases, ids, 0);
  return mx::astype(dequantize(rows), dtype);
}

mx::array linear(const mx::array& x, const WeightMatrix& w) {
  if (x.ndim() != 2 || x.shape(1) != w.cols()) {
    throw InvalidInput("linear", "x is " + shape_text(x.shape()) +
                                     ", expected [T, " +
                                     std::to_string(w.cols()) + "]");
  }
  if (!runs_on_cpu() || x.dtype() != mx::float32) return linear_fallback(x, w);
  auto body = [quantization = w.quantization](const std::vector<mx::array>& in,
                                              std::vector<mx::array>& out) {
    allocate(out[0]);
    return [weight = view_of_inputs(in, quantization), x = in[0].data<float>(),
            n_tokens = in[0].shape(0), y = out[0].data<float>()] {
      cpu::linear(weight, x, static_cast<std::size_t>(n_tokens), y);
    };
  };
  return mx::array({x.shape(0), w.rows()}, mx::float32,
                   cpu_primitive("linear", std::move(body)),
                   with_weight(mx::contiguous(x), w));
}

mx::array embedding(const mx::array& ids, const WeightMatrix& w,
                    mx::Dtype dtype) {
  if (ids.ndim() != 1 || ids.dtype() != mx::int32) {
    throw InvalidInput("embedding", "ids are " + shape_text(ids.shape()) +
                                        ", expected [T] of type int32");
  }
  if (!runs_on_cpu() || dtype != mx::float32)
    return embedding_fallback(ids, w, dtype);
  auto body = [quantization = w.quantization](const std::vector<mx::array>& in,
                                              std::vector<mx::array>& out) {
    allocate(out[0]);
    return [weight = view_of_inputs(in, quantization),
            ids = in[0].data<std::int32_t>(), n = in[0].shape(0),
            y = out[0].data<float>()] {
      cpu::embedding(weight, ids, static_cast<std::size_t>(n), y);
    };
  };
  return mx::array({ids.shape(0), w.cols()}, mx::float32,
                   cpu_primitive("embedding", std::move(body)),
                   with_weight(mx::contiguous(ids), w));
}

}  // namespace skua
