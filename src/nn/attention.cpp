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
      o_proj_(w / config.names.out, config.n_heads * config.head_dim,
              config.dim),
      q_norm_(optional_norm(w / config.names.q_norm, config)),
      k_norm_(optional_norm(w / config.names.k_norm, config)) {}

mx::array Attention::operator()(const mx::array& x, const RmsNorm& norm,
                                const RotaryAngles& angles, const Batch& batch,
                                LayerCache& cache, Residual residual) const {
  const auto head_norm = [](const std::optional<RmsNorm>& of_heads) {
    return of_heads ? std::optional(of_heads->norm()) : std::nullopt;
  };
  const auto qkv = project_heads(
      x, norm.norm(),
      {{&q_proj_.weight(), q_proj_.bias(), head_norm(q_norm_), true},
       {&k_proj_.weight(), k_proj_.bias(), head_norm(k_norm_), true},
       {&v_proj_.weight(), v_proj_.bias()}},
      config_.head_dim, angles);
  const auto out = cache.attend(qkv[0], qkv[1], qkv[2], batch,
                                {.scale = config_.scale,
                                 .window = config_.window,
                                 .precision = q_proj_.weight().precision});
  return o_proj_(result_rows(out, batch),
                 residual == Residual::kInput
                     ? std::optional(result_rows(x, batch))
                     : std::nullopt);
}

}  // namespace skua
