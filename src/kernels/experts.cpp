#include "kernels/experts.h"

#include <limits>

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/experts.h"
#include "kernels/matrix_input.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

void check_ids(const char* name, const mx::array& ids, int n_tokens) {
  const bool whole = ids.dtype() == mx::int32 || ids.dtype() == mx::uint32;
  if (ids.ndim() != 2 || ids.shape(0) != n_tokens || ids.shape(1) < 1 ||
      !whole) {
    throw InvalidInput(name, "ids are " + shape_text(ids.shape()) +
                                 ", expected [" + std::to_string(n_tokens) +
                                 ", k] of type int32 or uint32");
  }
}

void check_array(const char* name, const char* part, const mx::array& a,
                 const mx::array& x, const mx::Shape& shape) {
  if (a.shape() != shape || a.dtype() != x.dtype()) {
    throw InvalidInput(name, std::string(part) + shape_text(a.shape()) +
                                 ", expected " + shape_text(shape) +
                                 " of x's type");
  }
}

void check_experts(const char* name, const ExpertMatrices& w, int n_experts,
                   int rows, int cols) {
  if (w.n_experts != n_experts || w.rows() != rows || w.cols() != cols) {
    throw InvalidInput(name, "the experts are " +
                                 shape_text({w.n_experts, w.rows(), w.cols()}) +
                                 ", expected " +
                                 shape_text({n_experts, rows, cols}));
  }
}

bool takes_cpu_kernel(const mx::array& x) {
  return runs_kernels() && x.dtype() == mx::float32;
}

// What a primitive keeps of experts whose arrays are among its inputs.
class ExpertsInput {
 public:
  ExpertsInput(const ExpertMatrices& w, std::vector<mx::array>& inputs)
      : all_(w.all, inputs),
        n_experts_(static_cast<std::size_t>(w.n_experts)) {}
  cpu::ExpertsView view(const std::vector<mx::array>& in) const {
    return {all_.view(in), n_experts_};
  }

 private:
  MatrixInput all_;
  std::size_t n_experts_;
};

cpu::ExpertIds ids_view(const mx::array& ids) {
  return {ids.data<std::int32_t>(), static_cast<std::size_t>(ids.shape(0)),
          static_cast<std::size_t>(ids.shape(1))};
}

}  // namespace

ExpertMatrices expert_matrices(const std::string& where,
                               const WeightMatrix& stacked, int n_experts,
                               int rows, int cols) {
  if (n_experts < 1 || rows < 1 || cols < 1 ||
      n_experts > std::numeric_limits<int>::max() / rows) {
    throw InvalidInput(where,
                       "shape is " + shape_text({n_experts, rows, cols}) +
                           ", expected no 0 and less than 2^31 rows in all");
  }
  const auto flat = [&](const char* part, const mx::array& a) {
    if (a.ndim() != 3 || a.shape(0) != n_experts || a.shape(1) != rows) {
      throw InvalidInput(where + part, "shape is " + shape_text(a.shape()) +
                                           ", expected [" +
                                           std::to_string(n_experts) + ", " +
                                           std::to_string(rows) + ", ...]");
    }
    return mx::flatten(a, 0, 1);
  };
  WeightMatrix all{flat(".weight", stacked.weight), std::nullopt, std::nullopt,
                   stacked.quantization, stacked.precision};
  if (stacked.scales) all.scales = flat(".scales", *stacked.scales);
  if (stacked.biases) all.biases = flat(".biases", *stacked.biases);
  all.check(where, n_experts * rows, cols);
  all.moving = stacked.moving;
  return {std::move(all), n_experts};
}

mx::array expert_linear_fallback(const mx::array& x, const ExpertMatrices& w,
                                 const mx::array& ids,
                                 const std::optional<mx::array>& bias) {
  const auto stacked = [&](const mx::array& a) {
    return mx::unflatten(a, 0, {w.n_experts, w.rows()});
  };
  const auto rows = x.ndim() == 2 ? mx::expand_dims(x, {1, 2})
                                  : mx::expand_dims(x, 2);  // [T, k or 1, 1, K]
  mx::array y = rows;
  if (is_mlx_layout(w.all) && !OracleScope::is_active()) {
    const Quantization& q = w.all.quantization;
    const auto part = [&](const std::optional<mx::array>& a) {
      if (!a) return a;
      return std::optional(
          stacked(q.mode == "affine" ? mx::astype(*a, x.dtype()) : *a));
    };
    y = mx::gather_qmm(rows, stacked(w.all.weight), *part(w.all.scales),
                       part(w.all.biases), std::nullopt, ids, true,
                       q.group_size, q.bits, q.mode);
  } else {
    // MLX's CPU form takes float32 alone.
    const mx::Dtype type = runs_on_cpu() ? mx::float32 : x.dtype();
    const auto dense =
        mx::astype(w.all.quantised() ? dequantize(w.all) : w.all.weight, type);
    y = mx::gather_mm(mx::astype(rows, type),
                      mx::swapaxes(stacked(dense), 1, 2), std::nullopt, ids);
    y = mx::astype(y, x.dtype());
  }
  y = mx::squeeze(y, 2);
  return bias ? mx::add(y, mx::take(*bias, ids, 0)) : y;
}

mx::array expert_gated_mlp_fallback(const mx::array& x,
                                    const GatedExpertWeights& experts,
                                    const mx::array& ids,
                                    const mx::array& weights) {
  const auto hidden = gated_fallback(
      experts.activation, expert_linear_fallback(x, *experts.gate, ids),
      expert_linear_fallback(x, *experts.up, ids));
  const auto y = expert_linear_fallback(hidden, *experts.down, ids);
  return mx::sum(mx::multiply(y, mx::expand_dims(weights, 2)), 1);
}

mx::array expert_linear(const mx::array& x, const ExpertMatrices& w,
                        const mx::array& ids,
                        const std::optional<mx::array>& bias) {
  constexpr const char* kName = "expert_linear";
  const bool per_slot = x.ndim() == 3;
  check_ids(kName, ids, x.ndim() == 0 ? 0 : x.shape(0));
  const int n_slots = ids.shape(1);
  if (!(per_slot && x.shape(1) == n_slots && x.shape(2) == w.cols()) &&
      !(x.ndim() == 2 && x.shape(1) == w.cols())) {
    throw InvalidInput(kName, "x is " + shape_text(x.shape()) +
                                  ", expected [T, " + std::to_string(w.cols()) +
                                  "] or [T, " + std::to_string(n_slots) + ", " +
                                  std::to_string(w.cols()) + "]");
  }
  if (bias) check_array(kName, "bias is ", *bias, x, {w.n_experts, w.rows()});
  if (!takes_cpu_kernel(x)) return expert_linear_fallback(x, w, ids, bias);

  std::vector<mx::array> inputs = {row_contiguous(x), row_contiguous(ids)};
  const ExpertsInput experts(w, inputs);
  if (bias) inputs.push_back(row_contiguous(*bias));
  auto body = [experts, per_slot, biased = bias.has_value()](
                  const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    allocate(out[0]);
    return [=, w = experts.view(in), x = in[0].data<float>(),
            ids = ids_view(in[1]),
            bias = biased ? in.back().data<float>() : nullptr,
            y = out[0].data<float>()] {
      cpu::expert_linear(w, bias, ids, per_slot, x, y);
    };
  };
  return mx::array({x.shape(0), n_slots, w.rows()}, mx::float32,
                   cpu_primitive(kName, std::move(body)), inputs);
}

mx::array expert_gated_mlp(const mx::array& x,
                           const GatedExpertWeights& experts,
                           const mx::array& ids, const mx::array& weights) {
  constexpr const char* kName = "expert_gated_mlp";
  const int dim = experts.gate->cols();
  const int hidden_dim = experts.gate->rows();
  const int n_experts = experts.gate->n_experts;
  if (x.ndim() != 2 || x.shape(1) != dim) {
    throw InvalidInput(kName, "x is " + shape_text(x.shape()) +
                                  ", expected [T, " + std::to_string(dim) +
                                  "]");
  }
  check_ids(kName, ids, x.shape(0));
  check_array(kName, "weights are ", weights, x, ids.shape());
  check_experts(kName, *experts.up, n_experts, hidden_dim, dim);
  check_experts(kName, *experts.down, n_experts, dim, hidden_dim);
  if (!takes_cpu_kernel(x))
    return expert_gated_mlp_fallback(x, experts, ids, weights);

  std::vector<mx::array> inputs = {row_contiguous(x), row_contiguous(ids),
                                   row_contiguous(weights)};
  const ExpertsInput gate(*experts.gate, inputs);
  const ExpertsInput up(*experts.up, inputs);
  const ExpertsInput down(*experts.down, inputs);
  auto body = [=, activation = experts.activation](
                  const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    allocate(out[0]);
    const cpu::GatedExperts views{
        gate.view(in), up.view(in), down.view(in),
        activation == Gate::kSilu ? cpu::silu_gate : cpu::gelu_tanh_gate};
    return [views, x = in[0].data<float>(), ids = ids_view(in[1]),
            weights = in[2].data<float>(), y = out[0].data<float>()] {
      cpu::expert_gated_mlp(views, ids, weights, x, y);
    };
  };
  return mx::array(x.shape(), mx::float32,
                   cpu_primitive(kName, std::move(body)), inputs);
}

}  // namespace skua
