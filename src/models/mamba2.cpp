// Mamba 2. Reference: mlx-lm models/mamba2.py.
#include <mlx/mlx.h>

#include <cmath>
#include <optional>
#include <vector>

#include "models/registry.h"
#include "models/text_frame.h"
#include "nn/causal_conv.h"
#include "nn/layers.h"
#include "nn/ssd.h"
#include "skua/error.h"

namespace skua {
namespace {

struct MambaConfig {
  int vocab_size, dim, n_layers, n_heads, head_dim, n_groups, state_size;
  int n_taps;
  float norm_eps, least_step, most_step;
  bool tied;

  int inner() const { return n_heads * head_dim; }
  int mixed() const { return inner() + 2 * n_groups * state_size; }
};

float time_limit(const Config& config, std::size_t i, float fallback) {
  const Json* limits = config.find("time_step_limit");
  if (limits == nullptr) return fallback;
  if (!limits->is_array() || limits->size() != 2) {
    throw InvalidInput(
        config.where(),
        "time_step_limit is " + dump_json(*limits) + ", expected two numbers");
  }
  const Json& limit = (*limits)[i];
  if (i == 1 && limit.is_null()) return fallback;  // Infinity
  if (!limit.is_number() || !(limit.get<double>() >= 0)) {
    throw InvalidInput(config.where(), "time_step_limit holds " +
                                           dump_json(limit) +
                                           ", expected numbers from 0 on");
  }
  return limit.get<float>();
}

MambaConfig mamba_config(const Config& config) {
  MambaConfig c;
  c.vocab_size = config.size("vocab_size");
  c.dim = config.size("hidden_size");
  c.n_layers = config.size("num_hidden_layers");
  c.n_heads = config.size("num_heads");
  c.head_dim = config.size("head_dim");
  c.n_groups = config.size_or("n_groups", 1);
  c.state_size = config.size_or("ssm_state_size", config.size("state_size"));
  c.n_taps = config.size_or("conv_kernel", 4);
  c.norm_eps = static_cast<float>(config.number_or("layer_norm_epsilon", 1e-5));
  c.least_step = time_limit(config, 0, 0);
  c.most_step = time_limit(config, 1, INFINITY);
  c.tied = config.flag_or("tie_word_embeddings", false);
  constexpr std::int64_t kMostLayers = 10000, kMost = 1 << 28;
  const auto expect = [&](bool holds, const std::string& what) {
    if (!holds) throw InvalidInput(config.where(), what);
  };
  expect(c.n_layers <= kMostLayers,
         "num_hidden_layers is expected to be at "
         "most 10000");
  expect(std::int64_t{c.n_groups} * c.state_size <= kMost &&
             std::int64_t{c.n_heads} * c.head_dim <= kMost,
         "heads and groups are too wide, expected at most 2^28 numbers "
         "together");
  expect(c.n_heads % c.n_groups == 0,
         "num_heads is " + std::to_string(c.n_heads) +
             ", expected a multiple of n_groups " + std::to_string(c.n_groups));
  return c;
}

class MambaMixer {
 public:
  MambaMixer(const Scope& w, const MambaConfig& c)
      : c_(c),
        in_(w / "in_proj", c.dim, c.inner() + c.mixed() + c.n_heads),
        conv_(w / "conv1d", c.mixed(), c.n_taps),
        norm_(w / "norm", c.inner(), c.norm_eps),
        out_(w / "out_proj", c.inner(), c.dim),
        dt_bias_(w.take_vector("dt_bias", c.n_heads, mx::float32)),
        a_(mx::negative(
            mx::exp(w.take_vector("A_log", c.n_heads, mx::float32)))),
        d_(mx::expand_dims(w.take_vector("D", c.n_heads, mx::float32), -1)) {
    mx::eval(a_);
  }

  mx::array operator()(const mx::array& x, const RmsNorm& norm,
                       const Batch& batch, StateCache& states) const {
    const int n = x.shape(0), inner = c_.inner();
    const int of_groups = c_.n_groups * c_.state_size;
    const auto parts = mx::split(in_(norm(x)), {inner, inner + c_.mixed()}, -1);
    const mx::array mixed = conv_(parts[1], batch, states);
    const auto xbc = mx::split(mx::multiply(mixed, mx::sigmoid(mixed)),
                               {inner, inner + of_groups}, -1);
    const auto heads = [&](const mx::array& v, int count, int dim) {
      return mx::astype(mx::reshape(v, {n, count, dim}), mx::float32);
    };
    const SsdRows rows{heads(xbc[0], c_.n_heads, c_.head_dim),
                       heads(xbc[1], c_.n_groups, c_.state_size),
                       heads(xbc[2], c_.n_groups, c_.state_size),
                       time_steps(parts[2])};
    const mx::array y =
        mx::add(ssd(rows, a_, batch, states, 1), mx::multiply(rows.x, d_));
    const mx::array flat = mx::astype(mx::reshape(y, {n, inner}), x.dtype());
    const mx::array open =
        gated(Gate::kSilu, mx::contiguous(result_rows(parts[0], batch)),
              result_rows(flat, batch));
    return out_(norm_(open), result_rows(x, batch));
  }

 private:
  mx::array time_steps(const mx::array& dt) const {
    const mx::array x = mx::add(mx::astype(dt, mx::float32), dt_bias_);
    const mx::array soft = mx::logaddexp(x, mx::array(0.0f));
    return mx::clip(soft, mx::array(c_.least_step), mx::array(c_.most_step));
  }

  MambaConfig c_;
  Linear in_;
  CausalConv conv_;
  RmsNorm norm_;
  Linear out_;
  mx::array dt_bias_, a_, d_;
};

struct MambaBlock {
  RmsNorm norm;
  MambaMixer mixer;
};

class Mamba2 final : public CausalLM {
 public:
  Mamba2(const MambaConfig& c, const Scope& w)
      : frame_({c.vocab_size, c.dim, c.norm_eps, c.tied},
               w / "backbone" / "embeddings", w / "backbone" / "norm_f",
               w / "lm_head") {
    for (int i = 0; i < c.n_layers; ++i) {
      const Scope layer = w / "backbone" / "layers" / i;
      // The reference leaves these norms at their default.
      blocks_.push_back({RmsNorm(layer / "norm", c.dim, 1e-5f),
                         MambaMixer(layer / "mixer", c)});
    }
  }

  int n_layers() const override { return static_cast<int>(blocks_.size()); }
  int vocab_size() const override { return frame_.vocab_size(); }

 private:
  mx::array logits(const mx::array& ids, const Batch& batch,
                   Cache& cache) const override {
    const mx::array x =
        run_layers(blocks_, frame_.embed(ids), batch, cache,
                   [&](const MambaBlock& block, const mx::array& h,
                       const Batch& step, LayerCache& layer) {
                     return block.mixer(h, block.norm, step, layer.states());
                   });
    return frame_.logits(x);
  }

  TextFrame frame_;
  std::vector<MambaBlock> blocks_;
};

}  // namespace

std::unique_ptr<CausalLM> build_mamba2(const Config& config, Weights& weights) {
  const MambaConfig c = mamba_config(config);
  ignore_leftovers(weights, c.tied);
  return std::make_unique<Mamba2>(c, weights.root());
}

}  // namespace skua
