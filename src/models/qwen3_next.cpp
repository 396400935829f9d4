// Qwen3-Next: gated delta rule in most layers, gated attention in the others,
// a mixture of experts beside one that all tokens share.
// Reference: mlx-lm models/qwen3_next.py.
#include <mlx/mlx.h>

#include <cmath>
#include <optional>
#include <set>
#include <vector>

#include "models/decoder.h"
#include "models/registry.h"
#include "models/text_frame.h"
#include "nn/causal_conv.h"
#include "nn/gated_delta.h"
#include "nn/moe.h"
#include "skua/error.h"

namespace skua {
namespace {

struct NextConfig {
  int vocab_size, dim, hidden_dim, n_layers, attention_every, sparse_every;
  int n_key_heads, n_value_heads, key_dim, value_dim, n_taps;
  int shared_dim;
  float norm_eps;
  bool tied;
  RmsNorm::Stored norm_stored = RmsNorm::Stored::kWeight;
  std::set<int> dense;
  AttentionConfig attention;
  MoeConfig moe;
  RopeConfig rope;

  int keys() const { return n_key_heads * key_dim; }
  int values() const { return n_value_heads * value_dim; }
  bool attends(int layer) const { return (layer + 1) % attention_every == 0; }
  bool is_sparse(int layer) const {
    return moe.n_experts > 0 && !dense.contains(layer) &&
           (layer + 1) % sparse_every == 0;
  }
};

void check_widths(const Config& config, const NextConfig& c) {
  constexpr std::int64_t kMost = 1 << 28;
  if (std::int64_t{c.attention.n_heads} * c.attention.head_dim > kMost ||
      std::int64_t{c.n_key_heads} * c.key_dim > kMost ||
      std::int64_t{c.n_value_heads} * c.value_dim > kMost) {
    throw InvalidInput(config.where(),
                       "heads are expected to have at most 2^28 values "
                       "together");
  }
  if (c.n_value_heads % c.n_key_heads != 0) {
    throw InvalidInput(config.where(),
                       "linear_num_value_heads is " +
                           std::to_string(c.n_value_heads) +
                           ", expected a multiple of linear_num_key_heads " +
                           std::to_string(c.n_key_heads));
  }
}

void read_experts(const Config& config, NextConfig& c) {
  c.sparse_every = config.size_or("decoder_sparse_step", 1);
  if (const Json* layers = config.find("mlp_only_layers")) {
    if (!layers->is_array()) {
      throw InvalidInput(config.where(), "mlp_only_layers is " +
                                             dump_json(*layers) +
                                             ", expected a list of layers");
    }
    for (const Json& layer : *layers) {
      if (!layer.is_number_unsigned() ||
          layer.get<std::uint64_t>() >= static_cast<std::uint64_t>(c.n_layers))
        throw InvalidInput(
            config.where(),
            "mlp_only_layers holds " + dump_json(layer) + ", expected layers");
      c.dense.insert(layer.get<int>());
    }
  }
  const Json* n_experts = config.find("num_experts");
  if (n_experts != nullptr && *n_experts == 0) return;
  c.moe.dim = c.dim;
  c.moe.n_experts = config.size("num_experts");
  c.moe.n_active = config.size("num_experts_per_tok");
  c.moe.hidden_dim = config.size("moe_intermediate_size");
  c.moe.normalize_scores = config.flag_or("norm_topk_prob", false);
  c.shared_dim = config.size("shared_expert_intermediate_size");
  if (c.moe.n_active > c.moe.n_experts || c.moe.n_experts > 1 << 16) {
    throw InvalidInput(config.where(),
                       "num_experts_per_tok is " +
                           std::to_string(c.moe.n_active) + " of " +
                           std::to_string(c.moe.n_experts) +
                           " experts, expected fewer, of at most 65536");
  }
}

NextConfig next_config(const Config& config) {
  NextConfig c;
  c.vocab_size = config.size("vocab_size");
  c.dim = config.size("hidden_size");
  c.hidden_dim = config.size("intermediate_size");
  c.n_layers = config.size("num_hidden_layers");
  c.attention_every = config.size_or("full_attention_interval", 4);
  c.n_key_heads = config.size("linear_num_key_heads");
  c.n_value_heads = config.size("linear_num_value_heads");
  c.key_dim = config.size("linear_key_head_dim");
  c.value_dim = config.size("linear_value_head_dim");
  c.n_taps = config.size_or("linear_conv_kernel_dim", 4);
  c.norm_eps = static_cast<float>(config.number("rms_norm_eps"));
  c.tied = config.flag_or("tie_word_embeddings", false);
  AttentionConfig& a = c.attention;
  a.dim = c.dim;
  a.n_heads = config.size("num_attention_heads");
  a.n_kv_heads = config.size_or("num_key_value_heads", a.n_heads);
  a.head_dim = config.size_or("head_dim", 256);
  a.norm_eps = c.norm_eps;
  check_sizes(config.where(), c.n_layers, a);
  check_widths(config, c);
  a.scale = 1.0f / std::sqrt(static_cast<float>(a.head_dim));
  c.rope = rope_config(config, a.head_dim, 10000, 0.25);
  read_experts(config, c);
  return c;
}

mx::array columns(const mx::array& x, int from, int to) {
  return mx::slice(x, {0, 0, from}, {x.shape(0), x.shape(1), to});
}

mx::array silu(const mx::array& x) {
  return mx::multiply(x, mx::sigmoid(x));
}

/** Attention whose result is scaled by a gate, which q_proj holds too: for each
 *  head its query, then its gate. */
class GatedAttention {
 public:
  GatedAttention(const Scope& w, const NextConfig& c)
      : c_(c.attention),
        q_(w / "q_proj", c.dim, 2 * c_.n_heads * c_.head_dim),
        k_(w / "k_proj", c.dim, c_.n_kv_heads * c_.head_dim),
        v_(w / "v_proj", c.dim, c_.n_kv_heads * c_.head_dim),
        o_(w / "o_proj", c_.n_heads * c_.head_dim, c.dim),
        q_norm_(w / "q_norm", c_.head_dim, c.norm_eps, c.norm_stored),
        k_norm_(w / "k_norm", c_.head_dim, c.norm_eps, c.norm_stored) {}

  mx::array operator()(const mx::array& x, const RmsNorm& norm,
                       const RotaryAngles& angles, const Batch& batch,
                       LayerCache& cache) const {
    const int n = x.shape(0), d = c_.head_dim;
    const mx::array h = norm(x);
    const mx::array both = mx::reshape(q_(h), {n, c_.n_heads, 2 * d});
    const auto of_keys = [&](const mx::array& v) {
      return mx::reshape(v, {n, c_.n_kv_heads, d});
    };
    const mx::array q = rope(q_norm_(columns(both, 0, d)), angles);
    const mx::array k = rope(k_norm_(of_keys(k_(h))), angles);
    const mx::array seen =
        cache.attend(q, k, of_keys(v_(h)), batch,
                     {.scale = c_.scale, .precision = q_.weight().precision});
    const mx::array open =
        mx::multiply(seen, mx::sigmoid(columns(both, d, 2 * d)));
    return o_(result_rows(mx::reshape(open, {n, c_.n_heads * d}), batch),
              result_rows(x, batch));
  }

 private:
  AttentionConfig c_;
  Linear q_, k_, v_, o_;
  RmsNorm q_norm_, k_norm_;
};

class DeltaNet {
 public:
  DeltaNet(const Scope& w, const NextConfig& c)
      : c_(c),
        qkvz_(w / "in_proj_qkvz", c.dim, 2 * c.keys() + 2 * c.values()),
        ba_(w / "in_proj_ba", c.dim, 2 * c.n_value_heads),
        conv_(w / "conv1d", 2 * c.keys() + c.values(), c.n_taps),
        norm_(w / "norm", c.value_dim, c.norm_eps),
        out_(w / "out_proj", c.values(), c.dim),
        dt_bias_(w.take_vector("dt_bias", c.n_value_heads, mx::float32)),
        a_(mx::negative(
            mx::exp(w.take_vector("A_log", c.n_value_heads, mx::float32)))) {
    mx::eval(a_);
  }

  mx::array operator()(const mx::array& x, const RmsNorm& norm,
                       const Batch& batch, StateCache& states) const {
    const int n = x.shape(0), n_sharing = c_.n_value_heads / c_.n_key_heads;
    const int k_dim = c_.key_dim, v_dim = n_sharing * c_.value_dim;
    const mx::array h = norm(x);
    const mx::array qkvz =
        mx::reshape(qkvz_(h), {n, c_.n_key_heads, 2 * k_dim + 2 * v_dim});
    const auto flat = [&](int from, int to) {
      return mx::reshape(columns(qkvz, from, to),
                         {n, c_.n_key_heads * (to - from)});
    };
    const mx::array mixed =
        mx::concatenate({flat(0, k_dim), flat(k_dim, 2 * k_dim),
                         flat(2 * k_dim, 2 * k_dim + v_dim)},
                        -1);
    const auto qkv = mx::split(silu(conv_(mixed, batch, states)),
                               {c_.keys(), 2 * c_.keys()}, -1);
    const mx::array ba =
        mx::reshape(ba_(h), {n, c_.n_key_heads, 2 * n_sharing});
    const auto of_values = [&](const mx::array& v) {
      return mx::astype(mx::reshape(v, {n, c_.n_value_heads}), mx::float32);
    };
    const mx::array a = of_values(columns(ba, n_sharing, 2 * n_sharing));
    const mx::array dt = mx::logaddexp(mx::add(a, dt_bias_), mx::array(0.0f));
    const mx::array scale(1.0f / std::sqrt(static_cast<float>(k_dim)));
    const mx::array y = gated_delta(
        {mx::multiply(keys(qkv[0], n_sharing), scale), keys(qkv[1], n_sharing),
         mx::reshape(qkv[2], {n, c_.n_value_heads, c_.value_dim}),
         mx::multiply(dt, a_),
         mx::sigmoid(of_values(columns(ba, 0, n_sharing)))},
        batch, states, 1);
    const mx::array z =
        mx::reshape(columns(qkvz, 2 * k_dim + v_dim, 2 * k_dim + 2 * v_dim),
                    {n, c_.n_value_heads, c_.value_dim});
    const mx::array open =
        mx::multiply(norm_(mx::astype(y, x.dtype())), silu(z));
    return out_(result_rows(mx::reshape(open, {n, c_.values()}), batch),
                result_rows(x, batch));
  }

 private:
  // Of length 1, each for the value heads that share it.
  mx::array keys(const mx::array& x, int n_sharing) const {
    const mx::array heads = mx::astype(
        mx::reshape(x, {x.shape(0), c_.n_key_heads, c_.key_dim}), mx::float32);
    const mx::array squares = mx::sum(mx::multiply(heads, heads), -1, true);
    const mx::array unit =
        mx::divide(heads, mx::sqrt(mx::add(squares, mx::array(1e-6f))));
    return mx::repeat(unit, n_sharing, 1);
  }

  NextConfig c_;
  Linear qkvz_, ba_;
  CausalConv conv_;
  RmsNorm norm_;
  Linear out_;
  mx::array dt_bias_, a_;
};

/** Experts by choice, and one that all tokens share. */
struct SparseMlp {
  SparseMlp(const Scope& w, const NextConfig& c)
      : experts(w, c.moe),
        shared(w / "shared_expert", c.dim, c.shared_dim, Gate::kSilu),
        shared_gate(w / "shared_expert_gate", c.dim, 1) {}

  mx::array operator()(const mx::array& x, const RmsNorm& norm) const {
    const mx::array h = norm(x);
    const mx::array all = mx::multiply(mx::sigmoid(shared_gate(h)),
                                       shared(x, norm, Residual::kNone));
    return mx::add(x, mx::add(experts(h), all));
  }

  MixtureOfExperts experts;
  GatedMlp shared;
  Linear shared_gate;
};

struct NextBlock {
  NextBlock(const Scope& w, const NextConfig& c, int i)
      : norm(w / "input_layernorm", c.dim, c.norm_eps, c.norm_stored),
        mlp_norm(w / "post_attention_layernorm", c.dim, c.norm_eps,
                 c.norm_stored) {
    if (c.attends(i))
      attention.emplace(w / "self_attn", c);
    else
      delta.emplace(w / "linear_attn", c);
    if (c.is_sparse(i))
      sparse.emplace(w / "mlp", c);
    else
      mlp.emplace(w / "mlp", c.dim, c.hidden_dim, Gate::kSilu);
  }

  mx::array operator()(const mx::array& x, const RotaryAngles& angles,
                       const Batch& batch, LayerCache& cache) const {
    const mx::array h = attention ? (*attention)(x, norm, angles, batch, cache)
                                  : (*delta)(x, norm, batch, cache.states());
    return sparse ? (*sparse)(h, mlp_norm)
                  : (*mlp)(h, mlp_norm, Residual::kInput);
  }

  RmsNorm norm, mlp_norm;
  std::optional<GatedAttention> attention;
  std::optional<DeltaNet> delta;
  std::optional<SparseMlp> sparse;
  std::optional<GatedMlp> mlp;
};

class Qwen3Next final : public CausalLM {
 public:
  Qwen3Next(const NextConfig& c, const Scope& w)
      : frame_({c.vocab_size, c.dim, c.norm_eps, c.tied, c.norm_stored},
               w / "model" / "embed_tokens", w / "model" / "norm",
               w / "lm_head"),
        rope_(c.rope) {
    for (int i = 0; i < c.n_layers; ++i)
      blocks_.emplace_back(w / "model" / "layers" / i, c, i);
  }

  int n_layers() const override { return static_cast<int>(blocks_.size()); }
  int vocab_size() const override { return frame_.vocab_size(); }

 private:
  mx::array logits(const mx::array& ids, const Batch& batch,
                   Cache& cache) const override {
    const RotaryAngles angles = rope_.angles(batch);
    const mx::array x = run_layers(
        blocks_, frame_.embed(ids), batch, cache,
        [&](const NextBlock& block, const mx::array& h, const Batch& step,
            LayerCache& layer) { return block(h, angles, step, layer); });
    return frame_.logits(x);
  }

  TextFrame frame_;
  std::vector<NextBlock> blocks_;
  Rope rope_;
};

}  // namespace

std::unique_ptr<CausalLM> build_qwen3_next(const Config& config,
                                           Weights& weights) {
  NextConfig c = next_config(config);
  // As first published: norms without their 1, experts one by one.
  for (int i = 0; i < c.n_layers; ++i) {
    if (weights.has("model.layers." + std::to_string(i) +
                    ".mlp.experts.0.up_proj.weight"))
      c.norm_stored = RmsNorm::Stored::kWeightMinusOne;
  }
  ignore_leftovers(weights, c.tied);
  return std::make_unique<Qwen3Next>(c, weights.root());
}

}  // namespace skua
