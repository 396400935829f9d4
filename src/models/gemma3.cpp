// Gemma 3, text only. Reference: mlx-lm models/gemma3_text.py and gemma3.py.
#include <mlx/mlx.h>

#include <cmath>
#include <vector>

#include "models/decoder.h"
#include "models/registry.h"
#include "models/text_frame.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr auto kMinusOne = RmsNorm::Stored::kWeightMinusOne;

struct GemmaConfig {
  int vocab_size, dim, hidden_dim, n_layers, global_every;
  float norm_eps;
  AttentionConfig local, global;
  RopeConfig local_rope, global_rope;
};

GemmaConfig gemma_config(const Config& config) {
  GemmaConfig c;
  c.vocab_size = config.size_or("vocab_size", 262144);
  c.dim = config.size_or("hidden_size", 1152);
  c.hidden_dim = config.size_or("intermediate_size", 6912);
  c.n_layers = config.size_or("num_hidden_layers", 26);
  c.global_every = config.size_or("sliding_window_pattern", 6);
  c.norm_eps = static_cast<float>(config.number_or("rms_norm_eps", 1e-6));
  AttentionConfig& a = c.global;
  a.dim = c.dim;
  a.n_heads = config.size_or("num_attention_heads", 4);
  a.n_kv_heads = config.size_or("num_key_value_heads", 1);
  a.head_dim = config.size_or("head_dim", 256);
  const double scalar = config.number_or("query_pre_attn_scalar", 256);
  if (!(scalar > 0)) {
    throw InvalidInput(config.where(),
                       "query_pre_attn_scalar is expected more than 0");
  }
  a.scale = static_cast<float>(1 / std::sqrt(scalar));
  a.norm_eps = c.norm_eps;
  check_sizes(config.where(), c.n_layers, a);
  a.norm_stored = kMinusOne;
  c.local = a;
  c.local.window = config.size_or("sliding_window", 512);
  c.global_rope = rope_config(config, a.head_dim, 1000000);
  c.local_rope.where = config.where() + " rope_local_base_freq";
  c.local_rope.dims = c.global_rope.dims;
  c.local_rope.base = config.number_or("rope_local_base_freq", 10000);
  return c;
}

struct GemmaBlock {
  GemmaBlock(const Scope& w, const GemmaConfig& c, bool is_global)
      : global(is_global),
        input_norm(w / "input_layernorm", c.dim, c.norm_eps, kMinusOne),
        attention(w / "self_attn", is_global ? c.global : c.local),
        attention_norm(w / "post_attention_layernorm", c.dim, c.norm_eps,
                       kMinusOne),
        mlp_norm(w / "pre_feedforward_layernorm", c.dim, c.norm_eps, kMinusOne),
        mlp(w / "mlp", c.dim, c.hidden_dim, Gate::kGeluTanh),
        out_norm(w / "post_feedforward_layernorm", c.dim, c.norm_eps,
                 kMinusOne) {}

  mx::array operator()(const mx::array& x, const RotaryAngles& angles,
                       const Batch& batch, LayerCache& cache) const {
    const auto h =
        mx::add(result_rows(x, batch),
                attention_norm(attention(x, input_norm, angles, batch, cache,
                                         Residual::kNone)));
    return mx::add(h, out_norm(mlp(h, mlp_norm, Residual::kNone)));
  }

  bool global;
  RmsNorm input_norm;
  Attention attention;
  RmsNorm attention_norm, mlp_norm;
  GatedMlp mlp;
  RmsNorm out_norm;
};

class Gemma3 final : public CausalLM {
 public:
  Gemma3(const GemmaConfig& c, const Scope& w)
      : frame_({c.vocab_size, c.dim, c.norm_eps, !(w / "lm_head").has("weight"),
                kMinusOne},
               w / "model" / "embed_tokens", w / "model" / "norm",
               w / "lm_head"),
        local_rope_(c.local_rope),
        global_rope_(c.global_rope),
        // The checkpoint was trained with this factor in bfloat16.
        scale_(mx::astype(
            mx::array(std::sqrt(static_cast<float>(c.dim)), mx::bfloat16),
            w.compute())) {
    for (int i = 0; i < c.n_layers; ++i) {
      const bool global = i % c.global_every == c.global_every - 1;
      blocks_.emplace_back(w / "model" / "layers" / i, c, global);
    }
  }

  int n_layers() const override { return static_cast<int>(blocks_.size()); }
  int vocab_size() const override { return frame_.vocab_size(); }

 private:
  mx::array logits(const mx::array& ids, const Batch& batch,
                   Cache& cache) const override {
    const RotaryAngles local = local_rope_.angles(batch);
    const RotaryAngles global = global_rope_.angles(batch);
    const mx::array x = run_layers(
        blocks_, mx::multiply(frame_.embed(ids), scale_), batch, cache,
        [&](const GemmaBlock& block, const mx::array& h, const Batch& step,
            LayerCache& layer) {
          return block(h, block.global ? global : local, step, layer);
        });
    return frame_.logits(x);
  }

  TextFrame frame_;
  std::vector<GemmaBlock> blocks_;
  Rope local_rope_, global_rope_;
  mx::array scale_;
};

}  // namespace

std::unique_ptr<CausalLM> build_gemma3_text(const Config& config,
                                            Weights& weights) {
  ignore_leftovers(weights, false);
  return std::make_unique<Gemma3>(gemma_config(config), weights.root());
}

// The language part of the vision-language checkpoint.
std::unique_ptr<CausalLM> build_gemma3(const Config& config, Weights& weights) {
  const int vocab_size = config.size_or("vocab_size", 262208);
  Config text = config.section("text_config").with("vocab_size", vocab_size);
  if (!text.has("num_attention_heads"))
    text = text.with("num_attention_heads", 8);
  if (!text.has("num_key_value_heads"))
    text = text.with("num_key_value_heads", 4);
  weights.ignore([](const std::string& name) {
    return name.starts_with("vision_tower.") ||
           name.starts_with("multi_modal_projector.");
  });
  return std::make_unique<Gemma3>(gemma_config(text),
                                  weights.root() / "language_model");
}

}  // namespace skua
