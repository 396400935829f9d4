#pragma once

#include <optional>
#include <string>

#include "nn/cache.h"
#include "nn/layers.h"

namespace skua {

/** What a checkpoint calls the parts of its attention that differ. */
struct AttentionNames {
  std::string q_norm = "q_norm", k_norm = "k_norm", out = "o_proj";
};

struct AttentionConfig {
  int dim = 0;
  int n_heads = 0;
  int n_kv_heads = 0;
  int head_dim = 0;
  float scale = 1;
  int window = 0;      // newest positions seen; 0: all
  float norm_eps = 0;  // of q_norm and k_norm, where the checkpoint has them
  RmsNorm::Stored norm_stored = RmsNorm::Stored::kWeight;
  AttentionNames names = {};
};

/** Causal self-attention over norm(x) with rotary positions, grouped key heads
 *  and, where the checkpoint has them, biases and norms of queries and keys. */
class Attention {
 public:
  Attention(const Scope& w, const AttentionConfig& config);
  /** x [T, dim] -> result_rows of [T, dim] */
  mx::array operator()(const mx::array& x, const RmsNorm& norm,
                       const RotaryAngles& angles, const Batch& batch,
                       LayerCache& cache, Residual residual) const;

 private:
  AttentionConfig config_;
  Linear q_proj_, k_proj_, v_proj_, o_proj_;
  std::optional<RmsNorm> q_norm_, k_norm_;
};

}  // namespace skua
