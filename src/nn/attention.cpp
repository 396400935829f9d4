#include "nn/attention.h"

#include <mlx/mlx.h>

namespace skua {
namespace {

std::optional<RmsNorm> optional_norm(const Scope& w,
                                     const AttentionConfig& config) {
  if (!w.has("weight")) return std::nullopt;
  return RmsNorm(w, config.head_dim, config.norm_eps, config.norm_stored);
}

}  // namespace

Attention::Attention(const Scope& w, const AttentionConfig& config)
    : config_(config),
      q_proj_(w / "q_proj", config.dim, config.n_heads * config.head_dim),
      k_proj_(w / "k_proj", config.dim, config.n_kv_heads * config.head_dim),
      v_proj_(w / "v_proj", config.dim, config.n_kv_heads * config.head_dim),
      o_proj_(w / "o_proj", config.n_heads * config.head_dim, config.dim),
      q_norm_(optional_norm(w / "q_norm", config)),
      k_norm_(optional_norm(w / "k_norm", config)) {}

mx::array Attention::operator()(
    const mx::array& x, const RotaryAngles& angles, const Batch& batch,
    LayerCache& cache, const std::optional<mx::array>& residual) const {
  const int t = x.shape(0);
  const auto heads = [&](const mx::array& rows, int n_heads) {
    return mx::reshape(rows, {t, n_heads, config_.head_dim});
  };
  const auto qkv = apply_each(x, {&q_proj_, &k_proj_, &v_proj_});
  auto q = heads(qkv[0], config_.n_heads);
  auto k = heads(qkv[1], config_.n_kv_heads);
  const auto v = heads(qkv[2], config_.n_kv_heads);
  if (q_norm_) q = (*q_norm_)(q);
  if (k_norm_) k = (*k_norm_)(k);
  const auto out = cache.attend(rope(q, angles), rope(k, angles), v, batch,
                                {config_.scale, config_.window});
  return o_proj_(mx::reshape(out, {t, config_.n_heads * config_.head_dim}),
                 residual);
}

}  // namespace skua
