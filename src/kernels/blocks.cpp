#include "kernels/blocks.h"

#include <mlx/mlx.h>

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/scratch.h"
#include "kernels/linear.h"
#include "kernels/matrix_input.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

std::size_t size(int n) {
  return static_cast<std::size_t>(n);
}

bool takes_cpu_kernel(const mx::array& x, const Norm& norm) {
  return runs_kernels() && x.dtype() == mx::float32 &&
         norm.weight.dtype() == mx::float32;
}

void check(const char* name, const mx::array& x, const Norm& norm) {
  if (x.ndim() != 2 || norm.weight.shape() != mx::Shape{x.shape(1)}) {
    throw InvalidInput(name, "x is " + shape_text(x.shape()) +
                                 " and the norm's weight " +
                                 shape_text(norm.weight.shape()) +
                                 ", expected [T, D] and [D]");
  }
}

void check_matrix(const char* name, const WeightMatrix& w, int rows, int cols) {
  if (w.rows() != rows || w.cols() != cols) {
    throw InvalidInput(name, "a matrix is " + shape_text({w.rows(), w.cols()}) +
                                 ", expected " + shape_text({rows, cols}));
  }
}

struct ProjectionInputs {
  MatrixInput w;
  std::optional<std::size_t> bias, norm;
  float norm_eps;
  bool rotated;
};

struct Projection {
  cpu::LinearJob job;
  const float* norm;
  float norm_eps;
  bool rotated;
};

struct Angles {
  const float* cos;
  const float* sin;
  std::size_t half;
  bool interleaved;
};

void project(const float* x, std::size_t n_tokens, std::size_t dim,
             const float* norm, float eps, std::vector<Projection> projections,
             std::size_t head_dim, const Angles& angles) {
  float* normed = cpu::scratch(n_tokens * dim);
  cpu::rms_norm(x, norm, n_tokens, dim, eps, normed);
  std::vector<cpu::LinearJob> jobs;
  for (const Projection& p : projections) jobs.push_back(p.job);
  cpu::linear(jobs, normed, n_tokens);
  for (const Projection& p : projections) {
    float* y = p.job.y;
    const std::size_t n_heads = p.job.w.n_rows / head_dim;
    if (p.norm != nullptr)
      cpu::rms_norm(y, p.norm, n_tokens * n_heads, head_dim, p.norm_eps, y);
    if (p.rotated) {
      cpu::rope(y, angles.cos, angles.sin, n_tokens, n_heads, head_dim,
                angles.half, angles.interleaved, y);
    }
  }
}

}  // namespace

std::vector<mx::array> project_heads_fallback(
    const mx::array& x, const Norm& norm,
    const std::vector<HeadProjection>& projections, int head_dim,
    const RotaryAngles& angles) {
  std::vector<LinearPart> parts;
  for (const HeadProjection& p : projections) parts.push_back({p.w, p.bias});
  auto heads = linears(rms_norm(x, norm.weight, norm.eps), parts);
  for (std::size_t i = 0; i < heads.size(); ++i) {
    heads[i] = mx::reshape(heads[i], {x.shape(0), -1, head_dim});
    const HeadProjection& p = projections[i];
    if (p.norm) heads[i] = rms_norm(heads[i], p.norm->weight, p.norm->eps);
    if (p.rotated) heads[i] = rope(heads[i], angles);
  }
  return heads;
}

std::vector<mx::array> project_heads(
    const mx::array& x, const Norm& norm,
    const std::vector<HeadProjection>& projections, int head_dim,
    const RotaryAngles& angles) {
  check("project_heads", x, norm);
  std::vector<mx::Shape> shapes;
  for (const HeadProjection& p : projections) {
    const int n_heads = p.w->rows() / head_dim;
    check_matrix("project_heads", *p.w, n_heads * head_dim, x.shape(1));
    shapes.push_back({x.shape(0), n_heads, head_dim});
    const auto expect = [&](const std::optional<mx::array>& a, int n) {
      if (a && (a->shape() != mx::Shape{n} || a->dtype() != x.dtype())) {
        throw InvalidInput("project_heads",
                           "a bias or norm is " + shape_text(a->shape()) +
                               ", expected [" + std::to_string(n) +
                               "] of x's type");
      }
    };
    expect(p.bias, n_heads * head_dim);
    expect(p.norm ? std::optional(p.norm->weight) : std::nullopt, head_dim);
  }
  if (!takes_cpu_kernel(x, norm))
    return project_heads_fallback(x, norm, projections, head_dim, angles);
  check_angles({x.shape(0), 1, head_dim}, angles);

  std::vector<mx::array> inputs = {
      row_contiguous(x), row_contiguous(norm.weight),
      row_contiguous(angles.cos), row_contiguous(angles.sin)};
  const auto input = [&](const std::optional<mx::array>& a) {
    if (!a) return std::optional<std::size_t>();
    inputs.push_back(row_contiguous(*a));
    return std::optional(inputs.size() - 1);
  };
  std::vector<ProjectionInputs> places;
  for (const HeadProjection& p : projections) {
    MatrixInput w(*p.w, inputs);
    const auto bias = input(p.bias);
    const auto head_norm =
        input(p.norm ? std::optional(p.norm->weight) : std::nullopt);
    places.push_back({w, bias, head_norm, p.norm ? p.norm->eps : 0, p.rotated});
  }
  auto body =
      [places, eps = norm.eps, head_dim, interleaved = angles.interleaved](
          const std::vector<mx::array>& in, std::vector<mx::array>& out) {
        std::vector<Projection> parts;
        for (std::size_t i = 0; i < places.size(); ++i) {
          allocate(out[i]);
          Projection p{{places[i].w.view(in), out[i].data<float>()},
                       nullptr,
                       places[i].norm_eps,
                       places[i].rotated};
          if (places[i].bias) p.job.bias = in[*places[i].bias].data<float>();
          if (places[i].norm) p.norm = in[*places[i].norm].data<float>();
          parts.push_back(p);
        }
        return [x = in[0].data<float>(), n_tokens = size(in[0].shape(0)),
                dim = size(in[0].shape(1)), norm = in[1].data<float>(), eps,
                parts = std::move(parts), head_dim = size(head_dim),
                angles = Angles{in[2].data<float>(), in[3].data<float>(),
                                size(in[2].shape(1)), interleaved}] {
          project(x, n_tokens, dim, norm, eps, parts, head_dim, angles);
        };
      };
  return mx::array::make_arrays(
      std::move(shapes),
      std::vector<mx::Dtype>(projections.size(), mx::float32),
      cpu_primitive("project_heads", std::move(body)), inputs);
}

mx::array gated_mlp_fallback(const mx::array& x, const Norm& norm,
                             const GatedMlpWeights& weights, bool add_input) {
  const auto normed = rms_norm(x, norm.weight, norm.eps);
  const auto hidden =
      gated_linear(weights.activation, normed, *weights.gate, *weights.up);
  LinearPart down{weights.down};
  if (add_input) down.residual = x;
  return linears(hidden, {down})[0];
}

mx::array gated_mlp(const mx::array& x, const Norm& norm,
                    const GatedMlpWeights& weights, bool add_input) {
  check("gated_mlp", x, norm);
  const int dim = x.shape(1);
  const int hidden_dim = weights.gate->rows();
  check_matrix("gated_mlp", *weights.gate, hidden_dim, dim);
  check_matrix("gated_mlp", *weights.up, hidden_dim, dim);
  check_matrix("gated_mlp", *weights.down, dim, hidden_dim);
  if (!takes_cpu_kernel(x, norm))
    return gated_mlp_fallback(x, norm, weights, add_input);

  std::vector<mx::array> inputs = {row_contiguous(x),
                                   row_contiguous(norm.weight)};
  const MatrixInput gate(*weights.gate, inputs);
  const MatrixInput up(*weights.up, inputs);
  const MatrixInput down(*weights.down, inputs);
  auto body = [=, eps = norm.eps, activation = weights.activation](
                  const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    allocate(out[0]);
    const float* x = in[0].data<float>();
    cpu::LinearJob last{down.view(in), out[0].data<float>()};
    if (add_input) last.residual = x;
    return [=, gate = gate.view(in), up = up.view(in),
            n_tokens = size(in[0].shape(0)), norm = in[1].data<float>()] {
      const bool fuses = cpu::fuses_gated_mlp(gate, up, last.w, n_tokens);
      float* normed =
          cpu::scratch(n_tokens * (gate.n_cols + (fuses ? 0 : gate.n_rows)));
      cpu::rms_norm(x, norm, n_tokens, gate.n_cols, eps, normed);
      const auto gated =
          activation == Gate::kSilu ? cpu::silu_gate : cpu::gelu_tanh_gate;
      if (fuses) return cpu::gated_mlp(gate, up, gated, last, normed, n_tokens);
      float* hidden = normed + n_tokens * gate.n_cols;
      cpu::gated_linear(gate, up, gated, normed, n_tokens, hidden);
      cpu::linear({&last, 1}, hidden, n_tokens);
    };
  };
  return mx::array(x.shape(), mx::float32,
                   cpu_primitive("gated_mlp", std::move(body)), inputs);
}

}  // namespace skua
