// MiMo: Qwen2 with layers for multi-token prediction. References: mlx-lm
// models/mimo.py; for the layers vLLM mimo_mtp.py and the modeling_mimo.py of
// MiMo-7B's own repository.
#include <mlx/mlx.h>

#include "models/decoder.h"
#include "models/mtp.h"
#include "models/registry.h"

namespace skua {
namespace {

const std::string kHeads = "model.mtp_layers.";

class MimoHead final : public MtpHead {
 public:
  MimoHead(const DecoderConfig& config, const Scope& w, const Decoder& model)
      : frame_(model.frame()),
        dim_(config.dim),
        compute_(w.compute()),
        token_norm_(w / "token_layernorm", config.dim, config.norm_eps),
        hidden_norm_(w / "hidden_layernorm", config.dim, config.norm_eps),
        input_proj_(w / "input_proj", 2 * config.dim, config.dim),
        block_(w, config, false),
        final_norm_(w / "final_layernorm", config.dim, config.norm_eps),
        rope_(config.rope) {}

  int dim() const override { return dim_; }

 private:
  Step step(const mx::array& ids, const mx::array& hidden, const Batch& batch,
            LayerCache& cache) const override {
    mx::array x =
        input_proj_(mx::concatenate({hidden_norm_(mx::astype(hidden, compute_)),
                                     token_norm_(frame_.embed(ids))},
                                    1));
    x = final_norm_(block_(x, rope_.angles(batch),
                           batch.with_result(ResultRows::kOutput), cache));
    return {frame_.head(x), x};
  }

  const TextFrame& frame_;  // of the model, which owns the head
  int dim_;
  mx::Dtype compute_;
  RmsNorm token_norm_, hidden_norm_;
  Linear input_proj_;
  DecoderBlock block_;
  RmsNorm final_norm_;
  Rope rope_;
};

}  // namespace

std::unique_ptr<CausalLM> build_mimo(const Config& config, Weights& weights) {
  const DecoderConfig decoder =
      decoder_config(config.with("tie_word_embeddings",
                                 config.flag_or("tie_word_embeddings", false)),
                     10000);
  auto model = build_decoder(decoder, weights);
  const auto of_heads = [](const std::string& name) {
    return name.starts_with(kHeads);
  };
  if (weights.has(of_heads)) {
    model->set_mtp(std::make_unique<MimoHead>(
        decoder, weights.root() / "model" / "mtp_layers" / 0, *model));
  }
  weights.ignore(of_heads);
  return model;
}

}  // namespace skua
