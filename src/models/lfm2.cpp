// LFM2: gated short convolutions, and attention in a few layers.
// Reference: mlx-lm models/lfm2.py.
#include <mlx/mlx.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "models/decoder.h"
#include "models/registry.h"
#include "models/text_frame.h"
#include "nn/causal_conv.h"
#include "skua/error.h"

namespace skua {
namespace {

struct Lfm2Config {
  int vocab_size, dim, hidden_dim, n_taps;
  float norm_eps;
  bool tied;
  std::vector<bool> attends;  // one for each layer
  AttentionConfig attention;
  RopeConfig rope;
};

std::vector<bool> attention_layers(const Config& config) {
  const auto n = static_cast<std::size_t>(config.size("num_hidden_layers"));
  std::vector<bool> attends(n);
  if (const Json* list = config.find("full_attn_idxs")) {
    if (!list->is_array()) {
      throw InvalidInput(config.where(), "full_attn_idxs is " +
                                             dump_json(*list) +
                                             ", expected a list of layers");
    }
    for (const Json& i : *list) {
      if (!i.is_number_unsigned() || i.get<std::uint64_t>() >= n) {
        throw InvalidInput(config.where(),
                           "full_attn_idxs holds " + dump_json(i) +
                               ", expected layers below " + std::to_string(n));
      }
      attends[i.get<std::size_t>()] = true;
    }
    return attends;
  }
  const Json* types = config.find("layer_types");
  if (types == nullptr || !types->is_array() || types->size() != n) {
    throw InvalidInput(config.where(),
                       "expected full_attn_idxs, or layer_types with " +
                           std::to_string(n) + " names");
  }
  for (std::size_t i = 0; i < n; ++i) {
    attends[i] = (*types)[i] == "full_attention";
    if (!attends[i] && (*types)[i] != "conv") {
      throw Unsupported(config.where(),
                        "layer_types holds " + dump_json((*types)[i]) +
                            ", expected conv or full_attention");
    }
  }
  return attends;
}

int feed_forward_size(const Config& config) {
  double size = config.has("block_ff_dim") ? config.size("block_ff_dim")
                                           : config.size("intermediate_size");
  if (!config.flag_or("block_auto_adjust_ff_dim", true))
    return static_cast<int>(size);
  const int multiple = config.size_or("block_multiple_of", 256);
  size = std::floor(std::floor(2 * size / 3) *
                    config.number_or("block_ffn_dim_multiplier", 1));
  const double rounded = std::ceil(size / multiple) * multiple;
  if (!(rounded >= 1 && rounded <= 1 << 30)) {
    throw InvalidInput(config.where(),
                       "block_ffn_dim_multiplier leads to a feed-forward part "
                       "of " +
                           std::to_string(rounded) + ", expected 1 to 2^30");
  }
  return static_cast<int>(rounded);
}

Lfm2Config lfm2_config(const Config& config) {
  Lfm2Config c;
  c.vocab_size = config.size("vocab_size");
  c.dim = config.size("hidden_size");
  c.hidden_dim = feed_forward_size(config);
  c.n_taps = config.size_or("conv_L_cache", 3);
  c.norm_eps = static_cast<float>(config.number_or("norm_eps", 1e-5));
  c.tied = config.flag_or("tie_word_embeddings",
                          config.flag_or("tie_embedding", true));
  if (c.dim > 1 << 28) {
    throw InvalidInput(
        config.where(),
        "hidden_size is " + std::to_string(c.dim) + ", expected at most 2^28");
  }
  AttentionConfig& a = c.attention;
  a.dim = c.dim;
  a.n_heads = config.size("num_attention_heads");
  a.n_kv_heads = config.size_or("num_key_value_heads", a.n_heads);
  a.head_dim = head_dim(config);
  a.norm_eps = c.norm_eps;
  a.names = {"q_layernorm", "k_layernorm", "out_proj"};
  check_sizes(config.where(), config.size("num_hidden_layers"), a);
  c.attends = attention_layers(config);
  a.scale = 1.0f / std::sqrt(static_cast<float>(a.head_dim));
  c.rope = rope_config(config, a.head_dim, 1000000);
  return c;
}

/** out(c * conv(b * x)) of b, c, x = in(norm(input)), with the input added. */
struct GatedConv {
  GatedConv(const Scope& w, const Lfm2Config& c)
      : in(w / "in_proj", c.dim, 3 * c.dim),
        conv(w / "conv", c.dim, c.n_taps),
        out(w / "out_proj", c.dim, c.dim) {}

  mx::array operator()(const mx::array& x, const RmsNorm& norm,
                       const Batch& batch, StateCache& states) const {
    const auto bcx = mx::split(in(norm(x)), 3, -1);
    const mx::array mixed = conv(mx::multiply(bcx[0], bcx[2]), batch, states);
    return out(result_rows(mx::multiply(bcx[1], mixed), batch),
               result_rows(x, batch));
  }

  Linear in;
  CausalConv conv;
  Linear out;
};

struct Lfm2Block {
  Lfm2Block(const Scope& w, const Lfm2Config& c, bool attends)
      : norm(w / "operator_norm", c.dim, c.norm_eps),
        mlp_norm(w / "ffn_norm", c.dim, c.norm_eps),
        mlp(w / "feed_forward", c.dim, c.hidden_dim, Gate::kSilu,
            {.gate = "w1", .up = "w3", .down = "w2"}) {
    if (attends)
      attention.emplace(w / "self_attn", c.attention);
    else
      conv.emplace(w / "conv", c);
  }

  mx::array operator()(const mx::array& x, const RotaryAngles& angles,
                       const Batch& batch, LayerCache& cache) const {
    const mx::array h = attention ? (*attention)(x, norm, angles, batch, cache,
                                                 Residual::kInput)
                                  : (*conv)(x, norm, batch, cache.states());
    return mlp(h, mlp_norm, Residual::kInput);
  }

  RmsNorm norm;
  std::optional<Attention> attention;
  std::optional<GatedConv> conv;
  RmsNorm mlp_norm;
  GatedMlp mlp;
};

class Lfm2 final : public CausalLM {
 public:
  Lfm2(const Lfm2Config& c, const Scope& w)
      : frame_({c.vocab_size, c.dim, c.norm_eps, c.tied},
               w / "model" / "embed_tokens", w / "model" / "embedding_norm",
               w / "lm_head"),
        rope_(c.rope) {
    for (std::size_t i = 0; i < c.attends.size(); ++i)
      blocks_.emplace_back(w / "model" / "layers" / static_cast<int>(i), c,
                           c.attends[i]);
  }

  int n_layers() const override { return static_cast<int>(blocks_.size()); }
  int vocab_size() const override { return frame_.vocab_size(); }

 private:
  mx::array logits(const mx::array& ids, const Batch& batch,
                   Cache& cache) const override {
    const RotaryAngles angles = rope_.angles(batch);
    const mx::array x = run_layers(
        blocks_, frame_.embed(ids), batch, cache,
        [&](const Lfm2Block& block, const mx::array& h, const Batch& step,
            LayerCache& layer) { return block(h, angles, step, layer); });
    return frame_.logits(x);
  }

  TextFrame frame_;
  std::vector<Lfm2Block> blocks_;
  Rope rope_;
};

}  // namespace

std::unique_ptr<CausalLM> build_lfm2(const Config& config, Weights& weights) {
  const Lfm2Config c = lfm2_config(config);
  ignore_leftovers(weights, c.tied);
  return std::make_unique<Lfm2>(c, weights.root());
}

}  // namespace skua
