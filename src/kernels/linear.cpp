#include "kernels/linear.h"

#include <algorithm>

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/linear_input.h"
#include "kernels/matrix_input.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

void check_input(const mx::array& x, const WeightMatrix& w) {
  const bool fits = x.ndim() == 2 || x.ndim() == 3;
  if (!fits ||
      std::int64_t{x.shape(1)} * (x.ndim() == 3 ? x.shape(2) : 1) != w.cols()) {
    throw InvalidInput("linear", "x is " + shape_text(x.shape()) +
                                     ", expected [T, " +
                                     std::to_string(w.cols()) + "]");
  }
}

void check_addend(const char* name, const mx::array& a, const mx::array& x,
                  const mx::Shape& shape) {
  if (a.shape() != shape || a.dtype() != x.dtype()) {
    throw InvalidInput("linear", std::string(name) + " is " +
                                     shape_text(a.shape()) + ", expected " +
                                     shape_text(shape) + " of x's type");
  }
}

bool takes_cpu_kernel(const mx::array& x) {
  return runs_kernels() && x.dtype() == mx::float32;
}

// One part as the primitive keeps it: where its inputs are.
struct PartInputs {
  MatrixInput w;
  std::optional<std::size_t> bias, residual;
};

WeightMatrix rows_of(const WeightMatrix& w, int first, int last) {
  const auto rows = [&](const mx::array& a) {
    return mx::slice(a, {first, 0}, {last, a.shape(1)});
  };
  WeightMatrix part = w;
  part.weight = rows(w.weight);
  if (w.scales) part.scales = rows(*w.scales);
  if (w.biases) part.biases = rows(*w.biases);
  return part;
}

// Decoding takes some 50 bytes for each number, so that large matrices are
// done in parts.
mx::array oracle_linear(const mx::array& x, const WeightMatrix& w) {
  constexpr int kMostNumbers = 1 << 22;
  const auto wide = mx::astype(x, mx::float32);
  const int step = std::max(1, kMostNumbers / w.cols());
  std::vector<mx::array> parts;
  for (int first = 0; first < w.rows(); first += step) {
    const int last = std::min(first + step, w.rows());
    parts.push_back(
        mx::matmul(wide, mx::transpose(dequantize(rows_of(w, first, last)))));
    if (step < w.rows()) parts.back().eval();
  }
  return parts.size() == 1 ? parts[0] : mx::concatenate(parts, 1);
}

}  // namespace

mx::array linear_fallback(const mx::array& x, const WeightMatrix& w) {
  if (OracleScope::is_active()) return oracle_linear(x, w);
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
  return mx::astype(dequantize(rows),
                    OracleScope::is_active() ? mx::float32 : dtype);
}

std::string linear_kernel(const cpu::MatrixView& format, int n_tokens) {
  if (runs_kernels())
    return cpu::linear_kernel_name(format, static_cast<std::size_t>(n_tokens));
  return format.encoding == cpu::Encoding::kDense ? "MLX matmul"
                                                  : "MLX quantized_matmul";
}

mx::array linear(const mx::array& x, const WeightMatrix& w) {
  return linears(x, {{&w}})[0];
}

std::vector<mx::array> linears(const mx::array& x,
                               const std::vector<LinearPart>& parts) {
  std::vector<mx::Shape> shapes;
  for (const LinearPart& part : parts) {
    check_input(x, *part.w);
    shapes.push_back({x.shape(0), part.w->rows()});
    if (part.bias) check_addend("bias", *part.bias, x, {part.w->rows()});
    if (part.residual)
      check_addend("residual", *part.residual, x, shapes.back());
  }
  if (!takes_cpu_kernel(x)) {
    if (x.ndim() == 3) return linears(mx::reshape(x, {x.shape(0), -1}), parts);
    std::vector<mx::array> outputs;
    for (const LinearPart& part : parts) {
      outputs.push_back(linear_fallback(x, *part.w));
      if (part.bias) outputs.back() = mx::add(outputs.back(), *part.bias);
      if (part.residual)
        outputs.back() = mx::add(outputs.back(), *part.residual);
    }
    return outputs;
  }
  std::vector<mx::array> inputs = {row_contiguous(x)};
  std::vector<PartInputs> places;
  for (const LinearPart& part : parts) {
    PartInputs place{{*part.w, inputs}, std::nullopt, std::nullopt};
    if (part.bias) {
      place.bias = inputs.size();
      inputs.push_back(row_contiguous(*part.bias));
    }
    if (part.residual) {
      place.residual = inputs.size();
      inputs.push_back(row_contiguous(*part.residual));
    }
    places.push_back(place);
  }
  auto body = [places](const std::vector<mx::array>& in,
                       std::vector<mx::array>& out) {
    std::vector<cpu::LinearJob> jobs;
    for (std::size_t i = 0; i < places.size(); ++i) {
      const PartInputs& place = places[i];
      allocate(out[i]);
      cpu::LinearJob job{place.w.view(in), out[i].data<float>()};
      if (place.bias) job.bias = in[*place.bias].data<float>();
      if (place.residual) job.residual = in[*place.residual].data<float>();
      jobs.push_back(job);
    }
    return [jobs = std::move(jobs), x = in[0].data<float>(),
            n_tokens = static_cast<std::size_t>(in[0].shape(0))] {
      cpu::linear(jobs, x, n_tokens);
    };
  };
  return mx::array::make_arrays(
      std::move(shapes), std::vector<mx::Dtype>(parts.size(), mx::float32),
      cpu_primitive("linear", std::move(body)), inputs);
}

mx::array gated_linear(Gate activation, const mx::array& x,
                       const WeightMatrix& gate, const WeightMatrix& up) {
  check_input(x, gate);
  check_input(x, up);
  if (gate.rows() != up.rows()) {
    throw InvalidInput("gated_linear", "up has " + std::to_string(up.rows()) +
                                           " rows, expected " +
                                           std::to_string(gate.rows()));
  }
  if (!takes_cpu_kernel(x)) {
    return gated_fallback(activation, linear_fallback(x, gate),
                          linear_fallback(x, up));
  }
  std::vector<mx::array> inputs = {row_contiguous(x)};
  const MatrixInput gate_input(gate, inputs);
  const MatrixInput up_input(up, inputs);
  auto body = [=](const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    allocate(out[0]);
    return [activation, gate = gate_input.view(in), up = up_input.view(in),
            x = in[0].data<float>(),
            n_tokens = static_cast<std::size_t>(in[0].shape(0)),
            y = out[0].data<float>()] {
      cpu::gated_linear(
          gate, up,
          activation == Gate::kSilu ? cpu::silu_gate : cpu::gelu_tanh_gate, x,
          n_tokens, y);
    };
  };
  return mx::array({x.shape(0), gate.rows()}, mx::float32,
                   cpu_primitive("gated_linear", std::move(body)), inputs);
}

mx::array embedding(const mx::array& ids, const WeightMatrix& w,
                    mx::Dtype dtype) {
  if (ids.ndim() != 1 || ids.dtype() != mx::int32) {
    throw InvalidInput("embedding", "ids are " + shape_text(ids.shape()) +
                                        ", expected [T] of type int32");
  }
  if (!runs_kernels() || dtype != mx::float32)
    return embedding_fallback(ids, w, dtype);
  std::vector<mx::array> inputs = {row_contiguous(ids)};
  const MatrixInput matrix(w, inputs);
  auto body = [matrix](const std::vector<mx::array>& in,
                       std::vector<mx::array>& out) {
    allocate(out[0]);
    return [weight = matrix.view(in), ids = in[0].data<std::int32_t>(),
            n = in[0].shape(0), y = out[0].data<float>()] {
      cpu::embedding(weight, ids, static_cast<std::size_t>(n), y);
    };
  };
  return mx::array({ids.shape(0), w.cols()}, mx::float32,
                   cpu_primitive("embedding", std::move(body)), inputs);
}

}  // namespace skua
