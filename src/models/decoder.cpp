#include "models/decoder.h"

#include <mlx/mlx.h>

#include <cmath>

#include "skua/error.h"

namespace skua {

void check_sizes(const std::string& where, int n_layers,
                 const AttentionConfig& a) {
  constexpr int kMaxLayers = 10000, kMaxHeadDim = 1 << 16;
  constexpr std::int64_t kMaxWidth = 1 << 30;
  const auto expect = [&](bool holds, const std::string& name, int value,
                          const std::string& expected) {
    if (!holds) {
      throw InvalidInput(where, name + " is " + std::to_string(value) +
                                    ", expected " + expected);
    }
  };
  expect(n_layers <= kMaxLayers, "num_hidden_layers", n_layers,
         "at most " + std::to_string(kMaxLayers));
  expect(a.n_heads % a.n_kv_heads == 0, "num_attention_heads", a.n_heads,
         "a multiple of num_key_value_heads " + std::to_string(a.n_kv_heads));
  expect(a.head_dim <= kMaxHeadDim, "head_dim", a.head_dim,
         "at most " + std::to_string(kMaxHeadDim));
  expect(std::int64_t{a.n_heads} * a.head_dim <= kMaxWidth,
         "num_attention_heads", a.n_heads, "heads of 2^30 values together");
  if (!(a.norm_eps >= 0)) throw InvalidInput(where, "rms_norm_eps is below 0");
}

DecoderConfig decoder_config(const Config& config, double default_rope_base) {
  DecoderConfig c;
  c.vocab_size = config.size("vocab_size");
  c.dim = config.size("hidden_size");
  c.hidden_dim = config.size("intermediate_size");
  c.norm_eps = static_cast<float>(config.number("rms_norm_eps"));
  const std::string gate = config.text_or("hidden_act", "silu");
  if (gate != "silu" && gate != "swish") {
    throw Unsupported(config.where(),
                      "hidden_act is " + gate + ", expected silu");
  }
  c.tied = config.flag_or("tie_word_embeddings", true);
  const int n_layers = config.size("num_hidden_layers");
  AttentionConfig& a = c.attention;
  a.dim = c.dim;
  a.n_heads = config.size("num_attention_heads");
  a.n_kv_heads = config.size_or("num_key_value_heads", a.n_heads);
  a.head_dim = head_dim(config);
  a.norm_eps = c.norm_eps;
  check_sizes(config.where(), n_layers, a);
  c.sliding.assign(static_cast<std::size_t>(n_layers), false);
  a.scale = 1.0f / std::sqrt(static_cast<float>(a.head_dim));
  c.rope = rope_config(config, a.head_dim, default_rope_base);
  return c;
}

DecoderBlock::DecoderBlock(const Scope& w, const DecoderConfig& config,
                           bool sliding)
    : input_norm_(w / "input_layernorm", config.dim, config.norm_eps),
      attention_(w / "self_attn",
                 [&] {
                   AttentionConfig a = config.attention;
                   if (!sliding) a.window = 0;
                   return a;
                 }()),
      mlp_norm_(w / "post_attention_layernorm", config.dim, config.norm_eps),
      mlp_(w / "mlp", config.dim, config.hidden_dim, Gate::kSilu) {}

mx::array DecoderBlock::operator()(const mx::array& x,
                                   const RotaryAngles& angles,
                                   const Batch& batch,
                                   LayerCache& cache) const {
  const mx::array h =
      attention_(x, input_norm_, angles, batch, cache, Residual::kInput);
  return mlp_(h, mlp_norm_, Residual::kInput);
}

Decoder::Decoder(const DecoderConfig& config, const Scope& w)
    : frame_({config.vocab_size, config.dim, config.norm_eps, config.tied},
             w / "model" / "embed_tokens", w / "model" / "norm", w / "lm_head"),
      rope_(config.rope) {
  const Scope layers = w / "model" / "layers";
  for (std::size_t i = 0; i < config.sliding.size(); ++i)
    blocks_.emplace_back(layers / static_cast<int>(i), config,
                         config.sliding[i]);
}

mx::array Decoder::run_blocks(const mx::array& ids, const Batch& batch,
                              Cache& cache, ResultRows rows) const {
  const RotaryAngles angles = rope_.angles(batch);
  return run_layers(
      blocks_, frame_.embed(ids), batch, cache,
      [&](const DecoderBlock& block, const mx::array& x, const Batch& step,
          LayerCache& layer) { return block(x, angles, step, layer); },
      rows);
}

mx::array Decoder::logits(const mx::array& ids, const Batch& batch,
                          Cache& cache) const {
  return frame_.logits(run_blocks(ids, batch, cache, ResultRows::kOutput));
}

Decoder::Step Decoder::logits_and_hidden(const mx::array& ids,
                                         const Batch& batch,
                                         Cache& cache) const {
  const mx::array x =
      frame_.norm(run_blocks(ids, batch, cache, ResultRows::kAll));
  return {frame_.head(output_rows(x, batch)), x};
}

std::unique_ptr<Decoder> build_decoder(const DecoderConfig& config,
                                       Weights& weights) {
  ignore_leftovers(weights, config.tied);
  return std::make_unique<Decoder>(config, weights.root());
}

}  // namespace skua
