#include "nn/moe.h"

#include <mlx/mlx.h>

namespace skua {
namespace {

std::optional<mx::array> stack_all(const std::vector<mx::array>& parts) {
  if (parts.empty()) return std::nullopt;
  mx::array all = mx::stack(parts, 0);
  all.eval();
  return all;
}

ExpertMatrices take_experts(const Scope& w, const std::string& name,
                            int n_experts, int rows, int cols) {
  const Scope stacked = w / "switch_mlp" / name;
  if (stacked.has("weight")) return stacked.take_experts(n_experts, rows, cols);
  std::vector<mx::array> weights, scales, biases;
  std::optional<WeightMatrix> last;
  for (int e = 0; e < n_experts; ++e) {
    last = (w / "experts" / e / name).take_matrix(rows, cols);
    weights.push_back(last->weight);
    if (last->scales) scales.push_back(*last->scales);
    if (last->biases) biases.push_back(*last->biases);
  }
  const WeightMatrix all{*stack_all(weights), stack_all(scales),
                         stack_all(biases), last->quantization,
                         last->precision};
  return expert_matrices((w / "experts").where(), all, n_experts, rows, cols);
}

}  // namespace

MixtureOfExperts::MixtureOfExperts(const Scope& w, const MoeConfig& c)
    : config_(c),
      router_(w / "gate", c.dim, c.n_experts),
      gate_(take_experts(w, "gate_proj", c.n_experts, c.hidden_dim, c.dim)),
      up_(take_experts(w, "up_proj", c.n_experts, c.hidden_dim, c.dim)),
      down_(take_experts(w, "down_proj", c.n_experts, c.dim, c.hidden_dim)) {}

mx::array MixtureOfExperts::operator()(const mx::array& h) const {
  const mx::array scores =
      mx::softmax(mx::astype(router_(h), mx::float32), -1, true);
  const int first = config_.n_experts - config_.n_active;
  const mx::array sorted = mx::argpartition(scores, first, -1);
  const mx::array ids =
      mx::slice(sorted, {0, first}, {h.shape(0), config_.n_experts});
  mx::array weights = mx::take_along_axis(scores, ids, -1);
  if (config_.normalize_scores)
    weights = mx::divide(weights, mx::sum(weights, -1, true));
  return expert_gated_mlp(h, {&gate_, &up_, &down_},
                          mx::contiguous(mx::astype(ids, mx::int32)),
                          mx::astype(weights, h.dtype()));
}

}  // namespace skua
